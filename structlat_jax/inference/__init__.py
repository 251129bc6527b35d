"""Beliefs over z: how they start, learn, and are acted on."""
