"""What environments have in common that pay nothing but near what has to be found."""

from types import MappingProxyType

from structlat_jax.envs.base import Preset

_ON_POLICY = MappingProxyType(
    {
        "discount": 0.985,
        "entropy_weight": 0.015,
        "shaped_share": 0.3,
        "explore_share": 0.5,
        "trial_episodes": 20,
    }
)

PRESETS = MappingProxyType(
    {
        "pearl-belief": Preset(30_000, {"shaped_share": 0.3}),
        **{name: Preset(12_000, _ON_POLICY) for name in ("rl2", "varibad")},
    }
)
"""For who acts on a belief the task's own reward counts too, since the shaped one alone leads to
the middle of all places. For who learns on policy finding it is worth the rest of the trial, which
a look ahead of some steps does not see, and half of the trials begin with exploring episodes, so
that it is seen what there is to be found. Trials are as long as those of an evaluation: a memory
that was trained on six episodes has lost the place by the twentieth."""
