"""Settings of the algorithms beside PEARL, on top of an environment's first preset.

They were searched for on seeds from 1000 on; docs/baselines.md has the budget.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ON_POLICY = MappingProxyType(
    {
        "updates_per_step": 16,
        "minibatches": 4,
        "discount": 0.97,
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

_BELIEF = MappingProxyType({"belief_kl": 10.0, "belief_updates": 32, "belief_trials": 8})

SETTINGS: Mapping[str, tuple[int, Mapping[str, Any]]] = MappingProxyType(
    {
        "pearl-belief": (30_000, {"algorithm": "pearl-belief"}),
        "oracle": (30_000, {"algorithm": "oracle"}),
        "rl2": (_UPDATES, {**_ON_POLICY, "algorithm": "rl2"}),
        "varibad": (_UPDATES, {**_ON_POLICY, **_BELIEF, "algorithm": "varibad"}),
        "maml": (_UPDATES, {**_ON_POLICY, "algorithm": "maml", "trial_episodes": 10}),
    }
)
"""By algorithm: gradient updates per seed, and fields of the configuration."""
