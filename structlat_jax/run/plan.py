"""What a run is to do, and which numbers are allowed in it."""

import dataclasses
from typing import Any

from structlat_jax.config import Config
from structlat_jax.options import ConfigError, plain

PLAN_LIMITS = {
    "seeds": (int, 1, 100_000),
    "seed": (int, 0, 2**31 - 1),
    "updates": (int, 1, 10**9),
    "evals": (int, 1, 10_000),
    "checkpoint_seconds": ((int, float), 0, 10**9),
}
"""Type, least and greatest value of each number in a `Plan`."""

PLAN_FIELDS = ("preset", *PLAN_LIMITS)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is to do.

    Attributes:
      config: The configuration.
      preset: The preset's name, for the records.
      seeds: How many seeds.
      seed: The first seed.
      updates: Gradient updates per seed, rounded up to whole meta-steps.
      evals: Points of the learning curve; the last has all repeats of the protocol, those before it
        have one.
      checkpoint_seconds: Least time between two checkpoints.

    Raises:
      ConfigError: if a value is not allowed.
    """

    config: Config
    preset: str
    seeds: int
    seed: int
    updates: int
    evals: int
    checkpoint_seconds: float

    def __post_init__(self):
        if not isinstance(self.preset, str):  # a file may hold anything
            raise ConfigError("preset", "a name", self.preset)
        for name, (kind, low, high) in PLAN_LIMITS.items():
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            right_type = isinstance(value, kind) and not isinstance(value, bool)
            if not right_type or not low <= value <= high:
                what = "a whole number" if kind is int else "a number"
                raise ConfigError(name, f"{what} from {low} to {high}", value)

    @property
    def steps(self) -> int:
        """Meta-steps."""
        return -(-self.updates // self.config.structure.updates_per_step)

    @property
    def whole_updates(self) -> int:
        """Updates in whole meta-steps."""
        return self.steps * self.config.structure.updates_per_step

    def records(self) -> dict[str, Any]:
        """The fields of ``config.json`` beside the configuration."""
        return {name: getattr(self, name) for name in PLAN_FIELDS}

    def identity(self) -> dict[str, Any]:
        """All that ``config.json`` says."""
        return {**self.records(), **self.config.to_dict()}


def saved_plan(config: Config, data: dict[str, Any]) -> Plan:
    """The plan in what `run_folder.read_config` read.

    Raises:
      ConfigError: if a field is missing or not allowed.
    """
    return Plan(config=config, **{name: data.get(name) for name in PLAN_FIELDS})


def settings(plan: Plan) -> dict[str, Any]:
    """Every setting of a run by its name, flat."""
    sections = plan.config.to_dict()
    env = plan.config.env
    named = {"env": env.name, "env_options": dict(env.options)}
    return {**plan.records(), **named, **sections["structure"], **sections["hyper"]}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Which settings of ``here`` are others than those ``there``."""
    return [name for name, value in here.items() if value != there.get(name)]
