"""Training and evaluation as pure functions of a state."""
