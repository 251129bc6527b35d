"""The policy in NumPy, for workers: a multi-layer perceptron of one observation at a time."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Act = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""``(obs [obs_dim], noise [action_dim] or None)`` to an action ``[action_dim]``."""


class Policy(NamedTuple):
    """The layers of a policy, in single precision.

    Attributes:
      kernels: ``[in, out]`` each, the head last; the first takes an observation and then z.
      biases: ``[out]`` each.
      log_std: The limits of the head's log standard deviations.
    """

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    log_std: tuple[float, float] = (-20.0, 2.0)


def actor(policy: Policy, z: np.ndarray, discrete: bool) -> Act:
    """How a policy acts on one z.

    Args:
      policy: Its head has the means and the log standard deviations before tanh, or a logit per
        action.
      z: ``[D]``.
      discrete: Whether actions are one of several.

    Returns:
      The function: the policy's mode without noise. Noise is standard normal, or of discrete
      actions standard Gumbel.
    """
    split = policy.kernels[0].shape[0] - z.shape[0]
    kernels = (np.ascontiguousarray(policy.kernels[0][:split]), *policy.kernels[1:])
    biases = (z @ policy.kernels[0][split:] + policy.biases[0], *policy.biases[1:])
    hidden = list(zip(kernels[:-1], biases[:-1], strict=True))

    def head(obs):
        x = obs
        for kernel, bias in hidden:
            x = np.maximum(x @ kernel + bias, 0.0)
        return x @ kernels[-1] + biases[-1]

    def choose(obs, noise):
        logits = head(obs)
        one = np.zeros_like(logits)
        one[np.argmax(logits if noise is None else logits + noise)] = 1.0
        return one

    def squash(obs, noise):
        mean, log_std = np.split(head(obs), 2)
        if noise is None:
            return np.tanh(mean)
        return np.tanh(mean + np.exp(np.clip(log_std, *policy.log_std)) * noise)

    return choose if discrete else squash
