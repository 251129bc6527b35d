"""Settings of the algorithms beside PEARL, on top of an environment's first preset.

They were searched for on seeds from 1000 on; docs/baselines.md has the budget.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ON_POLICY = MappingProxyType(
    {
        "starts": 1,
        "updates_per_step": 16,
        "minibatches": 4,
        "entropy_weight": 0.003,
        "lr": 1e-3,
        "encoder_lr": 1e-3,
        "lr_decay_start": 6_000.0,
        "lr_decay_end": 12_000.0,
        "trial_episodes": 4,
        "task_trials": 1,
    }
)
_UPDATES = 12_000

_RECURRENT = MappingProxyType({**_ON_POLICY, "discount": 0.97})
"""What is found out in one episode pays in the next, which a long look ahead sees."""

_MAML = MappingProxyType(
    {
        "lr": 1.5e-3,
        "inner_lr": 0.4,
        "entropy_weight": 0.0015,
        "lr_decay_start": 750.0,
        "lr_decay_end": 1_500.0,
    }
)
"""Few updates: longer trained it returned less on tasks that training never saw."""

_OFF_POLICY = MappingProxyType({"starts": 1, "lr_decay_start": 8_000.0, "lr_decay_end": 30_000.0})

_ON_BELIEF = MappingProxyType({"kl_weight": 1e-5, "kl_weight_start": 1e-5, "context_best_of": 1})
"""No draw from the prior is acted on, so that little ties beliefs to it; and what to do while
nothing was found yet is learned from contexts in which nothing was."""

_BELIEF = MappingProxyType(
    {"belief_kl": 40.0, "encoder_lr": 2.5e-3, "belief_updates": 32, "belief_trials": 8}
)

SETTINGS: Mapping[str, tuple[int, Mapping[str, Any]]] = MappingProxyType(
    {
        "pearl-belief": (30_000, {**_OFF_POLICY, **_ON_BELIEF, "algorithm": "pearl-belief"}),
        "oracle": (30_000, {**_OFF_POLICY, "algorithm": "oracle"}),
        "rl2": (_UPDATES, {**_RECURRENT, "algorithm": "rl2"}),
        "varibad": (_UPDATES, {**_RECURRENT, **_BELIEF, "algorithm": "varibad"}),
        "maml": (1_504, {**_ON_POLICY, **_MAML, "algorithm": "maml"}),
    }
)
"""By algorithm: gradient updates per seed, and fields of the configuration."""


def following(name: str, usual: Any) -> dict[str, Any]:
    """Those of an algorithm's settings that follow from an environment's usual structure: MAML
    adapts to as many episodes as an evaluation explores in, two at least, and acts on it in as
    many."""
    if name != "maml":
        return {}
    count = max(2, usual.eval_prior_episodes)
    return {"adapt_episodes": count, "trial_episodes": 2 * count}
