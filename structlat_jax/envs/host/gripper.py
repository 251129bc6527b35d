"""Meta-World's arm as lines, from what is observed of it: what films draw of it."""

import numpy as np

from structlat_jax.envs import slanted

_OPEN = 0.05
"""Metres from the middle to each finger where the gripper is observed to be at 1, wide open."""
_FINGER, _WRIST, _THING = 0.045, 0.12, 0.02  # metres: lengths, and half the width of a cube


def lines(obs: np.ndarray) -> np.ndarray:
    """The gripper, and the thing that is to be moved, as a cube's front.

    Args:
      obs: Observations, ``[N, 39]``: first the place of the hand, how open it is and the place of
        the thing; in kinds of tasks without one, whatever the package says there.

    Returns:
      The ends of each line in metres, ``[N, 8, 2, 2]``.
    """
    obs = np.asarray(obs, float)
    hand, open_, thing = obs[:, :3], _OPEN * obs[:, 3, None], obs[:, 4:7]
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    left, other = hand - open_ * right, hand + open_ * right
    corners = [
        thing + _THING * (across * right + high * up)
        for across, high in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    ends = [
        (hand, hand + _WRIST * up),
        (left, other),
        (left, left - _FINGER * up),
        (other, other - _FINGER * up),
        *zip(corners, [*corners[1:], corners[0]], strict=True),
    ]
    return slanted.seen(np.stack([np.stack(pair, axis=1) for pair in ends], axis=1))
