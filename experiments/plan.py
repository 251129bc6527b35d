"""What a run is to do, and which numbers are allowed in it."""

import dataclasses
from typing import Any

from structlat_jax.config import PRESETS, Config, ConfigError

PLAN_LIMITS = {
    "seeds": (int, 1, 100_000),
    "seed": (int, 0, 2**31 - 1),
    "updates": (int, 1, 10**9),
    "evals": (int, 1, 10_000),
    "checkpoint_seconds": ((int, float), 0, 10**9),
}
"""Type, least and greatest value of each number in a `Plan`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is to do.

    Attributes:
      config: The configuration.
      preset: The preset's name, for the records.
      seeds: How many seeds.
      seed: The first seed.
      updates: Gradient updates per seed, rounded up to whole meta-steps.
      evals: Points of the learning curve.
      checkpoint_seconds: Least time between two checkpoints.
    """

    config: Config
    preset: str
    seeds: int
    seed: int
    updates: int
    evals: int
    checkpoint_seconds: float

    def __post_init__(self):
        if self.preset not in list(PRESETS):  # a file may hold what cannot be a key
            raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, not {self.preset!r}.")
        for name, (kind, low, high) in PLAN_LIMITS.items():
            value = getattr(self, name)
            right_type = isinstance(value, kind) and not isinstance(value, bool)
            if not right_type or not low <= value <= high:
                what = "a whole number" if kind is int else "a number"
                raise ConfigError(f"{name} must be {what} from {low} to {high}, not {value!r}.")

    @property
    def steps(self) -> int:
        """Meta-steps."""
        return -(-self.updates // self.config.structure.updates_per_step)

    def records(self) -> dict[str, Any]:
        """The fields of ``config.json`` beside the configuration."""
        own = dataclasses.asdict(self)
        del own["config"]
        return own
