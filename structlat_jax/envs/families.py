"""Families of tasks, each an environment and its options in one text; those of known structure."""

KNOWN = (
    "point_robot",
    "triangle",
    "triangle+drift=0.025",
    "triangle+gain=0.3",
    "triangle+rotation=0.7+gain=0.3",
    "tetrahedron",
    "speed_mix",
    "drive_mix",
)
"""Families whose tasks are mixtures, some with styles beside them: alone, in the dynamics that
feedback undoes, in those that it does not, in a dimension more, and with dense rewards."""


def named(text: str) -> tuple[str, tuple[str, ...]]:
    """``NAME+OPTION=VALUE+...`` to the environment's name and the texts of its options."""
    name, *own = (part.strip() for part in text.split("+"))
    return name, tuple(own)
