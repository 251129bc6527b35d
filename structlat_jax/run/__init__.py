"""Running: the loop on the host, its loggers, many runs at once, several processes."""
