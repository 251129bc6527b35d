"""The static half of a run: what a compiled program closes over."""

import dataclasses
import functools
from pathlib import Path

from structlat_jax.algos import pearl
from structlat_jax.algos.base import Algorithm
from structlat_jax.config import Config
from structlat_jax.envs import Env, registry
from structlat_jax.envs.checks import require_env
from structlat_jax.inference import additive, bayes
from structlat_jax.inference.base import Inference
from structlat_jax.options import ConfigError
from structlat_jax.parts import Parts, make_parts


@dataclasses.dataclass(frozen=True)
class Setup(Parts):
    """The parts of a run, and the records that are made from them.

    Attributes:
      algorithm: How the agent learns and acts.
      inference: How it infers z where it is evaluated and used.
      encoder: The encoder's posterior, by which it infers z while it collects, and the paper's
        inference.
    """

    algorithm: Algorithm
    inference: Inference
    encoder: Inference


def make_setup(config: Config, env: Env | str | Path | None = None) -> Setup:
    """The static half of a run.

    Args:
      config: The configuration.
      env: An environment, or what names one for `envs.make`; by default that of the configuration,
        if making it imports no file or module of the configuration's own.

    Raises:
      EnvError: if the environment cannot be made.
      ConfigError: if the configuration asks for what the environment does not have.
    """
    return _setup(config, registry.named(config.env, env))


@functools.lru_cache(maxsize=16)
def _setup(config: Config, env: Env) -> Setup:
    """One object for equal arguments, so that what is compiled for it serves again."""
    if env.spec is None:  # `envs.make` has looked at the others
        require_env(env.name, env)
    if config.structure.explorer == "own" and env.explore is None:
        rule = f"held, uniform or smooth, since {env.name} has no explore of its own"
        raise ConfigError("explorer", rule, "own")
    if config.structure.inference == "decoded" and config.structure.posterior != "task":
        rule = "hypotheses or amortised, since only `posterior` task has a decoder"
        raise ConfigError("inference", rule, "decoded")
    return assemble(make_parts(config, env))


def assemble(parts: Parts, inference: Inference | None = None) -> Setup:
    """The records of some parts.

    Args:
      parts: Of the run.
      inference: In place of the configured one.
    """
    s = parts.structure
    by_task = s.posterior == "task"
    algorithm = pearl.make_by_task(parts) if by_task else pearl.make(parts.networks, parts.space)
    encoder = additive.make(parts.networks, parts.space, s.next_obs_in_context)
    if inference is None:
        inference = _configured(parts, algorithm, encoder)
    own = {field.name: getattr(parts, field.name) for field in dataclasses.fields(Parts)}
    return Setup(**own, algorithm=algorithm, inference=inference, encoder=encoder)


def _configured(parts: Parts, algorithm: Algorithm, encoder: Inference) -> Inference:
    kind = parts.structure.inference
    if kind == "amortised":
        return encoder
    return (bayes.make_decoded if kind == "decoded" else bayes.make)(parts, algorithm)
