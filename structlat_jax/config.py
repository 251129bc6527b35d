"""Every number that a run depends on: the environment, and two frozen records.

`Structure` is static: shapes and choices that select a program; another value compiles another
program. `Hyper` is traced: a sweep may vmap over it. Both are put together from the records that
the owners of the options declare, each default in one place.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from structlat_jax.algos.options import (
    AlgorithmHyper,
    AlgorithmOptions,
    OnPolicyHyper,
    OnPolicyOptions,
    require_trials,
)
from structlat_jax.algos.presets import SETTINGS, following
from structlat_jax.data.options import DataHyper, DataOptions
from structlat_jax.envs import AnyEnv, EnvError, EnvSpec, Preset
from structlat_jax.envs.legacy import read_env, unsaid, without_gone
from structlat_jax.inference.options import InferenceHyper, InferenceOptions
from structlat_jax.latents import LatentOptions, LatentSpace, latent_space
from structlat_jax.nets.options import NetworkOptions
from structlat_jax.options import ConfigError, allowed, check, option, require_order
from structlat_jax.train.options import ProtocolOptions, TrainOptions

__all__ = ["PRESETS", "Config", "ConfigError", "Hyper", "Structure", "allowed", "preset"]

SCHEMA_VERSION = 1

OWNERS = (
    LatentOptions,
    TrainOptions,
    NetworkOptions,
    DataOptions,
    InferenceOptions,
    ProtocolOptions,
    AlgorithmOptions,
    OnPolicyOptions,
    AlgorithmHyper,
    DataHyper,
    InferenceHyper,
    OnPolicyHyper,
)
"""Who declares the options, in the order in which they are shown."""


@dataclasses.dataclass(frozen=True)
class Structure(
    # Dataclasses collect the fields of their bases from the last to the first.
    OnPolicyOptions,
    AlgorithmOptions,
    ProtocolOptions,
    InferenceOptions,
    DataOptions,
    NetworkOptions,
    TrainOptions,
    LatentOptions,
):
    """Static choices: what is compiled."""

    latent: str = option("dir:2x4,gau:2", "latent spec: blocks joined by commas")

    @property
    def seen_tasks(self) -> int:
        """Training tasks in an evaluation; the test tasks come after them."""
        return min(self.train_tasks, self.eval_train_tasks)

    @property
    def blind_episodes(self) -> int:
        """First episodes of an evaluation in which nothing that was seen decides: those with z from
        the prior, those that MAML adapts to, or one where the agent acts on its belief from the
        second on."""
        if self.algorithm == "maml":
            return self.adapt_episodes
        return self.eval_prior_episodes if self.acts_on_z else 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hyper(OnPolicyHyper, InferenceHyper, DataHyper, AlgorithmHyper):
    """Traced hyper-parameters, a pytree: what a sweep may vary within one program."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration.

    Attributes:
      structure: Static choices.
      hyper: Traced numbers.
      env: Which environment, and its options; see `envs.make`.

    Raises:
      ConfigError: if a value is not allowed.
    """

    structure: Structure = dataclasses.field(default_factory=Structure)
    hyper: Hyper = dataclasses.field(default_factory=Hyper)
    env: EnvSpec = dataclasses.field(default_factory=EnvSpec)

    def __post_init__(self):
        s, hyper = check(self.structure), check(self.hyper)
        for name, record in (("structure", s), ("hyper", hyper)):
            object.__setattr__(self, name, record)
        require_order(s, "context_episodes_min", "context_episodes")
        require_order(s, "meta_batch", "train_tasks")
        require_order(s, "eval_prior_episodes", "eval_episodes", below=True)
        if s.hypotheses & (s.hypotheses - 1):
            raise ConfigError("hypotheses", "a power of two from 2 up", s.hypotheses)
        if s.is_on_policy:
            require_trials(s)
        if hyper.lr_decay_end < hyper.lr_decay_start:
            rule = f"at least `lr_decay_start` ({hyper.lr_decay_start:g})"
            raise ConfigError("lr_decay_end", rule, hyper.lr_decay_end)
        self.latent_space()

    def latent_space(self) -> LatentSpace:
        """The latent space that the configuration names; raises `ConfigError`."""
        fields = dataclasses.fields(LatentOptions)
        options = {field.name: field.type(getattr(self.structure, field.name)) for field in fields}
        try:
            return latent_space(self.structure.latent, **options)
        except ValueError as error:
            raise ConfigError(None, f"`latent`: {error}") from None

    def replace(self, env: EnvSpec | None = None, **changes: Any) -> "Config":
        """A copy with other values; field names are unique across the two sections.

        Raises:
          ConfigError: on an unknown name or a value that is not allowed.
        """
        sections = {"structure": {}, "hyper": {}}
        for name, value in changes.items():
            sections[section_of(name)][name] = value
        return Config(
            dataclasses.replace(self.structure, **sections["structure"]),
            dataclasses.replace(self.hyper, **sections["hyper"]),
            env or self.env,
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain nested dictionaries, for JSON."""
        sections = {
            name: dataclasses.asdict(getattr(self, name)) for name in ("structure", "hyper")
        }
        return {"env": self.env.to_dict(), **sections}

    @staticmethod
    def from_dict(data: Any, base: "Config | None" = None) -> "Config":
        """The inverse of `to_dict`; raises `ConfigError`.

        Args:
          data: Nested dictionaries.
          base: What fields that are missing take; the defaults by default.
        """
        if not isinstance(data, dict) or not all(
            isinstance(data.get(name, {}), dict) for name in ("structure", "hyper")
        ):
            raise ConfigError(
                None, "a configuration is an object with 'structure' and 'hyper' objects."
            )
        given, hyper = data.get("structure", {}), without_gone(data.get("hyper", {}))
        before = unsaid(given) if "schema_version" in data else {}  # files of runs say everything
        try:
            env, structure = read_env(data.get("env"), {**before, **given})
        except EnvError as error:
            raise ConfigError(None, str(error)) from None
        return (base or Config()).replace(env=env, **structure, **hyper)


def fields() -> dict[str, dataclasses.Field]:
    """Every field of both sections by name, in the order of `OWNERS`."""
    every = (dataclasses.fields(Structure)[-1:], *map(dataclasses.fields, OWNERS))
    return {field.name: field for some in every for field in some}


def section_of(name: str) -> str:
    """``structure`` or ``hyper``; raises `ConfigError` on an unknown field."""
    for section, kind in (("structure", Structure), ("hyper", Hyper)):
        if name in {field.name for field in dataclasses.fields(kind)}:
            return section
    raise ConfigError(None, f"there is no field {name!r} in a configuration.")


PRESETS: dict[str, Preset] = {
    "cpu": Preset(updates=30_000),
    # Sizes and rates that PEARL publishes for sparse tasks (Rakelly et al. 2019, and its code).
    "paper": Preset(
        updates=500_000,
        changes={
            "prior_factor": False,
            "precision": "softplus",
            "width": 300,
            "encoder_width": 200,
            "encoder_depth": 3,
            "encoder_norm": False,
            "meta_batch": 16,
            "batch_size": 256,
            "context_episodes": 51,
            "context_episodes_min": 51,
            "context_best_of": 1,
            "context_window": 1,
            "explore_episodes": 0,
            "posterior_episodes": 45,
            "updates_per_step": 1000,
            "replay_steps": 100_000,
            "lr": 3e-4,
            "encoder_lr": 3e-4,
            "reward_scale": 100.0,
            "entropy_weight": 1.0,
            "entropy_end": 1.0,
            "kl_weight": 1.0,
            "kl_weight_start": 1.0,
            "mean_reg": 1e-3,
            "std_reg": 1e-3,
            "context_reward_scale": 1.0,
            "silent_kl": 0.0,
            "task_focus": 0.0,
            "explore_context": 0.0,
            "posterior": "context",
            "inference": "amortised",
            "lr_end": 1.0,
        },
    ),
}
"""``cpu`` learns in minutes on two cores; ``paper`` has PEARL's published sizes. An environment may
change either for itself, and add others (`Env.presets`)."""


BASELINES: dict[str, Preset] = {name: Preset(*made) for name, made in SETTINGS.items()}
"""Presets that are named after the algorithm which they make an environment's first one be trained
by."""


def _changed(config: Config) -> dict[str, Any]:
    """What a configuration has other than the default."""
    usual, own = Config().to_dict(), config.to_dict()
    return {
        name: value
        for section in ("structure", "hyper")
        for name, value in own[section].items()
        if value != usual[section][name]
    }


def preset_names(env: AnyEnv | None = None) -> list[str]:
    """The presets of an environment, the default one first."""
    own = [] if env is None else list(env.presets)
    return [*own, *(name for name in PRESETS if name not in own)]


def preset(
    name: str | None = None, env: AnyEnv | None = None, spec: EnvSpec | None = None
) -> tuple[Config, int]:
    """A preset of an environment.

    Args:
      name: One of `preset_names`, the first by default; or of `BASELINES`, for its settings on top
        of the first. An environment may have settings of its own under such a name, too.
      env: The environment, whose own settings come on top of the general ones.
      spec: What the configuration says of it; the default environment's by default.

    Returns:
      The configuration, and the gradient updates per seed.

    Raises:
      ConfigError: if there is no such preset, or if one of the environment's values is not allowed.
    """
    known = list(dict.fromkeys([*preset_names(env), *BASELINES]))
    name = known[0] if name is None else name
    if name not in known:
        raise ConfigError("preset", "one of " + ", ".join(known), name)
    own = {} if env is None else env.presets
    general = BASELINES.get(name, PRESETS.get(name))
    chosen = own.get(name, general)
    changes: Mapping[str, Any] = general.changes if general else {}
    if name in BASELINES:
        first = preset(None, env)[0]
        changes = {**_changed(first), **changes, **following(name, first.structure)}
    changes = {**changes, **(chosen.changes if name in own else {})}
    try:
        return Config().replace(env=spec, **changes), chosen.updates
    except ConfigError as error:
        if name not in own:
            raise
        raise ConfigError(None, f"the preset {name} of {env.name}: {error}") from None
