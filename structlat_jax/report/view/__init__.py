"""A finished run as one HTML file, to be looked at step by step."""
