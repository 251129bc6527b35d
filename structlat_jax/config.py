"""Every number that a run depends on, in two frozen records, with two presets.

`Structure` is static: shapes and choices that select a program; another value compiles another
program. `Hyper` is traced: a sweep may vmap over it. Each field carries its help text and its
range, which validation, the command line and the documentation share.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from structlat_jax.latents import LatentOptions, latent_space
from structlat_jax.latents.block import BRIDGES, KLS, PRECISIONS

SCHEMA_VERSION = 1


class ConfigError(ValueError):
    """A configuration that is not allowed; the message names the field and what is allowed."""


def _field(default, text, low=None, high=None, above=None, choices=None):
    limits = {"help": text, "low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


@dataclasses.dataclass(frozen=True)
class Structure:
    """Static choices: what is compiled."""

    latent: str = _field("dir:2x4,gau:2", "latent spec: dir:VxK, cat:VxK, gau:N, by commas")
    bridge: str = _field("projected", "logit-normal to Dirichlet map", choices=BRIDGES)
    kl: str = _field("bridge", "KL of Dirichlet blocks", choices=KLS)
    alpha: float = _field(0.2, "concentration of the Dirichlet prior", above=0.0)
    prior_factor: bool = _field(True, "count the prior as one more factor of the posterior")
    precision: str = _field("exp", "encoder output to precision", choices=PRECISIONS)
    temperature: float = _field(0.5, "of the relaxed categorical in training", above=0.0)
    kl_samples: int = _field(256, "quadrature points of --kl exact", low=2)
    anchor_start: float = _field(0.0, "angle of the first base task (radians)")
    anchor_end: float = _field(3.141592653589793, "angle of the second base task (radians)")
    train_tasks: int = _field(30, "number of training goals", low=1)
    test_tasks: int = _field(10, "number of test goals", low=1)
    width: int = _field(64, "hidden width of the critics and the policy", low=1)
    depth: int = _field(3, "hidden layers of the critics and the policy", low=1)
    encoder_width: int = _field(64, "hidden width of the encoder", low=1)
    encoder_depth: int = _field(2, "hidden layers of the encoder", low=1)
    encoder_norm: bool = _field(True, "LayerNorm in the encoder")
    next_obs_in_context: bool = _field(False, "show the encoder the next observation too")
    init: str = _field("he", "network initialisation: ours or PEARL's", choices=("he", "pearl"))
    meta_batch: int = _field(8, "tasks per update", low=1)
    batch_size: int = _field(64, "transitions per task and update", low=1)
    context_episodes: int = _field(8, "most episodes in a training context", low=1)
    context_episodes_min: int = _field(1, "fewest episodes in a training context", low=1)
    context_best_of: int = _field(
        16, "the first context episode is the best of this many drawn (1: a plain draw)", low=1
    )
    context_window: int = _field(50, "meta-steps whose episodes contexts are drawn from", low=1)
    updates_per_step: int = _field(300, "gradient updates per meta-step", low=1)
    prior_episodes: int = _field(5, "episodes per task and meta-step with z from the prior", low=1)
    explore_episodes: int = _field(5, "episodes with one random heading each", low=0)
    posterior_episodes: int = _field(10, "episodes with z from the posterior", low=0)
    replay_steps: int = _field(20_000, "transitions kept per task", low=1)
    inference: str = _field(
        "hypotheses",
        "of the evaluation: Bayes' rule over draws from the prior, or the encoder's posterior",
        choices=("hypotheses", "amortised"),
    )
    hypotheses: int = _field(2048, "draws from the prior that are weighed, a power of two", low=2)
    choice: str = _field(
        "greedy",
        "which hypothesis posterior episodes act on: the one of most expected return, or a draw",
        choices=("greedy", "thompson"),
    )
    world_width: int = _field(32, "hidden width of the world model", low=1)
    world_draws: int = _field(8, "draws of z per task that explain its rewards together", low=1)
    world_updates: int = _field(60, "updates of the world model per meta-step", low=1)
    eval_episodes: int = _field(20, "episodes per task in evaluation", low=2)
    eval_prior_episodes: int = _field(5, "of those, with z from the prior", low=1)
    eval_draws: int = _field(
        1, "latents per episode, each for its share of the steps (compiled one by one)", 1, 10
    )
    eval_repeats: int = _field(4, "repeats of the evaluation per task", low=1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hyper:
    """Traced hyper-parameters, a pytree: what a sweep may vary within one program."""

    lr: float = _field(1e-3, "Adam step size of critics, value and policy", above=0.0)
    encoder_lr: float = _field(1e-3, "Adam step size of the encoder", above=0.0)
    lr_end: float = _field(
        0.05, "step sizes after their decay, as a share of those before", low=0.0, high=1.0
    )
    lr_decay_start: float = _field(8_000.0, "updates after which the step sizes decay", low=0.0)
    lr_decay_end: float = _field(30_000.0, "updates after which they stay at their end", low=0.0)
    discount: float = _field(0.9, "discount factor", low=0.0, high=1.0)
    tau: float = _field(0.005, "Polyak step of the target value network", above=0.0, high=1.0)
    reward_scale: float = _field(1.0, "multiplies the reward in the Bellman target", above=0.0)
    entropy_weight: float = _field(0.01, "weight of the policy's entropy", low=0.0)
    entropy_end: float = _field(
        0.1, "entropy weight after the decay, as a share of that before", low=0.0, high=1.0
    )
    kl_weight: float = _field(0.003, "weight of the KL, summed over the meta-batch", low=0.0)
    kl_weight_start: float = _field(2e-4, "the KL weight before the ramp", low=0.0)
    silent_kl: float = _field(
        1.0, "KL to the prior given a context's silent episodes only, per KL weight", low=0.0
    )
    kl_ramp_updates: float = _field(9_000.0, "updates over which the KL weight ramps", low=0.0)
    evidence_weight: float = _field(
        1.0, "exponent of the likelihood that weighs hypotheses (1: Bayes, 0: prior)", low=0.0
    )
    mean_reg: float = _field(1e-5, "penalty on the squared policy mean", low=0.0)
    std_reg: float = _field(1e-5, "penalty on the squared policy log-std", low=0.0)
    context_reward_scale: float = _field(5.0, "multiplies the reward that the encoder sees")
    task_focus: float = _field(
        1.0, "exponent by which tasks that prior episodes seldom find are drawn more", low=0.0
    )
    explore_context: float = _field(
        0.5, "share of contexts without posterior episodes", low=0.0, high=1.0
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration."""

    structure: Structure = dataclasses.field(default_factory=Structure)
    hyper: Hyper = dataclasses.field(default_factory=Hyper)

    def __post_init__(self):
        for section in (self.structure, self.hyper):
            for field in dataclasses.fields(section):
                _check(field, getattr(section, field.name))
        structure = self.structure
        if structure.context_episodes_min > structure.context_episodes:
            raise ConfigError(
                "context_episodes_min must be at most context_episodes "
                f"({structure.context_episodes}), not {structure.context_episodes_min}."
            )
        if structure.eval_prior_episodes >= structure.eval_episodes:
            raise ConfigError(
                "eval_prior_episodes must be below eval_episodes "
                f"({structure.eval_episodes}), not {structure.eval_prior_episodes}."
            )
        if structure.hypotheses & (structure.hypotheses - 1):
            raise ConfigError(
                f"hypotheses must be a power of two from 2 up, not {structure.hypotheses}."
            )
        if structure.meta_batch > structure.train_tasks:
            raise ConfigError(
                f"meta_batch must be at most train_tasks ({structure.train_tasks}), "
                f"not {structure.meta_batch}."
            )
        hyper = self.hyper
        if hyper.lr_decay_end < hyper.lr_decay_start:
            raise ConfigError(
                "lr_decay_end must be at least lr_decay_start "
                f"({hyper.lr_decay_start:g}), not {hyper.lr_decay_end:g}."
            )
        self.latent_space()

    def latent_space(self):
        """The latent space that the configuration names; raises `ConfigError`."""
        names = {field.name for field in dataclasses.fields(LatentOptions)}
        options = {name: getattr(self.structure, name) for name in names}
        try:
            return latent_space(self.structure.latent, **options)
        except ValueError as error:
            raise ConfigError(f"latent: {error}") from None

    def replace(self, **changes: Any) -> "Config":
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
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain nested dictionaries, for JSON."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(data: Any) -> "Config":
        """The inverse of `to_dict`; missing fields take their defaults; raises `ConfigError`."""
        if not isinstance(data, dict) or not all(
            isinstance(data.get(name, {}), dict) for name in ("structure", "hyper")
        ):
            raise ConfigError("a configuration is an object with 'structure' and 'hyper' objects.")
        merged = {**data.get("structure", {}), **data.get("hyper", {})}
        return Config().replace(**merged)


def fields() -> dict[str, dataclasses.Field]:
    """Every field of both sections by name, in order."""
    both = (*dataclasses.fields(Structure), *dataclasses.fields(Hyper))
    return {field.name: field for field in both}


def section_of(name: str) -> str:
    """``structure`` or ``hyper``; raises `ConfigError` on an unknown field."""
    for section, kind in (("structure", Structure), ("hyper", Hyper)):
        if name in {field.name for field in dataclasses.fields(kind)}:
            return section
    raise ConfigError(f"there is no field {name!r} in a configuration.")


def allowed(field: dataclasses.Field) -> str:
    """What a field may be, in words; empty where anything of its type may."""
    limits = field.metadata
    if limits["choices"]:
        return "one of " + ", ".join(limits["choices"])
    parts = []
    if limits["above"] is not None:
        parts.append(f"above {limits['above']:g}")
    if limits["low"] is not None:
        parts.append(f"at least {limits['low']:g}")
    if limits["high"] is not None:
        parts.append(f"at most {limits['high']:g}")
    return " and ".join(parts)


def _check(field: dataclasses.Field, value: Any) -> None:
    limits = field.metadata
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    accepted = (int, float) if field.type is float else (field.type,)
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or (is_bool and field.type is not bool):
        raise ConfigError(f"{field.name} must be {kinds[field.type]}, not {value!r}.")
    number = value
    if field.type is float:
        with np.errstate(over="ignore"):
            number = float(np.float32(value))  # what the program will see
    wrong = (
        (limits["choices"] is not None and value not in limits["choices"])
        or (limits["low"] is not None and not number >= limits["low"])
        or (limits["high"] is not None and not number <= limits["high"])
        or (limits["above"] is not None and not number > limits["above"])
        or (field.type is float and not abs(number) < float("inf"))
    )
    if wrong:
        finite = field.type is float and abs(value) < float("inf")
        suffix = " in single precision" if finite and number != value else ""
        rule = allowed(field) or "finite"
        raise ConfigError(f"{field.name} must be {rule}{suffix}, not {value!r}.")


PRESETS: dict[str, Config] = {
    "cpu": Config(),
    # Sizes and rates that PEARL publishes for the sparse point robot (Rakelly et al. 2019).
    "paper": Config().replace(
        prior_factor=False,
        precision="softplus",
        width=300,
        encoder_width=200,
        encoder_depth=3,
        encoder_norm=False,
        meta_batch=16,
        batch_size=256,
        context_episodes=51,
        context_episodes_min=51,
        context_best_of=1,
        context_window=1,
        explore_episodes=0,
        posterior_episodes=45,
        updates_per_step=1000,
        replay_steps=100_000,
        lr=3e-4,
        encoder_lr=3e-4,
        reward_scale=100.0,
        entropy_weight=1.0,
        entropy_end=1.0,
        kl_weight=1.0,
        kl_weight_start=1.0,
        mean_reg=1e-3,
        std_reg=1e-3,
        context_reward_scale=1.0,
        silent_kl=0.0,
        task_focus=0.0,
        explore_context=0.0,
        inference="amortised",
        lr_end=1.0,
    ),
}
"""``cpu`` learns in minutes on two cores; ``paper`` has PEARL's published sizes."""

DEFAULT_UPDATES = {"cpu": 30_000, "paper": 500_000}
"""Gradient updates per seed of each preset."""
