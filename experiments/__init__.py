"""Programs that train, compare and draw; run each as ``python -m experiments.NAME``."""
