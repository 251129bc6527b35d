"""Numbers that the paper prints of the half-circle point robot."""

ENV = "point_robot"

RETURNS = {
    "gau:5": 10.2,
    "cat:2x4": 4.6,
    "cat:2x4,gau:2": 9.5,
    "dir:2x4": 11.3,
    "dir:2x4,gau:2": 12.2,
}
"""Its Table 1, in its order."""
