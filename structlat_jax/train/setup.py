"""The static half of a run: what a compiled program closes over."""

import dataclasses
import functools
import math
from pathlib import Path

from structlat_jax.algos import others, pearl
from structlat_jax.algos.base import Algorithm
from structlat_jax.config import Config, Structure
from structlat_jax.envs import AnyEnv, registry
from structlat_jax.envs.checks import require_env
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.inference import additive, bayes, chosen
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
        inference; of other algorithms than PEARL the same as ``inference``.
      described: Whether the configuration says which inference it is; not where one of one's own
        takes its place.
    """

    algorithm: Algorithm
    inference: Inference
    encoder: Inference
    described: bool = True

    @property
    def given(self) -> int:
        """Width of what the policy is given beside an observation: of z, or of what stands for
        it."""
        return self.space.dim if self.algorithm.given is None else self.algorithm.given


def make_setup(config: Config, env: AnyEnv | str | Path | None = None) -> Setup:
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
def _setup(config: Config, env: AnyEnv) -> Setup:
    """One object for equal arguments, so that what is compiled for it serves again."""
    if env.spec is None:  # `envs.make` has looked at the others
        require_env(env.name, env)
    if config.structure.explorer == "own" and env.explore is None:
        rule = f"held, uniform or smooth, since {env.name} has no explore of its own"
        raise ConfigError("explorer", rule, "own")
    kind = config.structure.inference
    if kind in ("decoded", "explained") and not config.structure.tasks_are_known:
        rule = "auto, hypotheses or amortised, since only `posterior` task and truth have a decoder"
        raise ConfigError("inference", rule, kind)
    if config.structure.posterior == "truth" and env.factors is None:
        rule = f"context or task, since {env.name} has no factors that would be its truth"
        raise ConfigError("posterior", rule, "truth")
    if config.structure.eval_draws > env.horizon:
        rule = f"at most {env.horizon}, the steps in an episode of {env.name}"
        raise ConfigError("eval_draws", rule, config.structure.eval_draws)
    if env.discrete and config.structure.entropy_control == "learned":
        _require_target(config.hyper.entropy_target, env)
    _require_algorithm(config.structure, env)
    setup = assemble(make_parts(config, env))
    if isinstance(env, HostEnv):
        _require_host(setup)
    return setup


def _require_target(target: float, env: AnyEnv) -> None:
    """Raises `ConfigError` if a policy of choices cannot have so much entropy."""
    most = math.log(env.action_dim) / env.action_dim
    if not 0.0 < target < most:
        rule = (
            f"above 0 and below {most:.3g} on {env.name}, whose actions are {env.action_dim} "
            "choices (nats per choice)"
        )
        raise ConfigError("entropy_target", rule, target)


_OF_PEARL = ("targets", "entropy_control", "obs_norm")
"""Options of PEARL's actor-critic that the other algorithms do without."""


def _require_algorithm(s: Structure, env: AnyEnv) -> None:
    """Raises `ConfigError` if the algorithm cannot be had there, or not in that form."""
    if s.algorithm == "pearl":
        return
    if env.discrete and s.algorithm != "oracle":
        rule = f"pearl or oracle, since actions of {env.name} are choices"
        raise ConfigError("algorithm", rule, s.algorithm)
    if s.algorithm == "oracle" and env.factors is None:
        rule = f"another, since {env.name} has no factors that it could be told"
        raise ConfigError("algorithm", rule, "oracle")
    for field in dataclasses.fields(s):
        if field.name in _OF_PEARL and (value := getattr(s, field.name)) != field.default:
            rule = f"{field.default}, since `algorithm` is {s.algorithm}"
            raise ConfigError(field.name, rule, value)


def _require_host(setup: Setup) -> None:
    """Raises `ConfigError` on what cannot be where workers take whole episodes."""
    name, draws = setup.env.name, setup.structure.eval_draws
    if draws != 1:
        raise ConfigError("eval_draws", f"1 on {name}, whose episodes run whole", draws)
    if setup.algorithm.portable is None:
        text = f"agents of {setup.algorithm.name} cannot act in {name}, a host environment."
        raise ConfigError.free(text)


def assemble(parts: Parts, inference: Inference | None = None) -> Setup:
    """The records of some parts.

    Args:
      parts: Of the run.
      inference: In place of the configured one.
    """
    s, described = parts.structure, inference is None
    if s.algorithm != "pearl":
        parts, algorithm, own = others.make(parts)
        return _setup_of(parts, algorithm, inference or own, own, described)
    algorithm = (
        pearl.make_by_task(parts)
        if s.tasks_are_known
        else pearl.make(parts.networks, parts.space, s)
    )
    encoder = additive.make(parts.networks, parts.space, s.next_obs_in_context)
    if inference is None:
        inference = _configured(parts, algorithm, encoder)
    return _setup_of(parts, algorithm, inference, encoder, described)


def _setup_of(
    parts: Parts, algorithm: Algorithm, inference: Inference, encoder: Inference, described: bool
) -> Setup:
    own = {field.name: getattr(parts, field.name) for field in dataclasses.fields(Parts)}
    records = {"algorithm": algorithm, "inference": inference, "encoder": encoder}
    return Setup(**own, **records, described=described)


def _configured(parts: Parts, algorithm: Algorithm, encoder: Inference) -> Inference:
    makers = {
        "hypotheses": lambda: bayes.make(parts, algorithm),
        "decoded": lambda: bayes.make_decoded(parts, algorithm),
        "amortised": lambda: encoder,
        "explained": lambda: bayes.make_decoded(parts, algorithm, changes=True),
    }
    kind = parts.structure.inference
    if kind != "auto":
        return makers[kind]()
    # Not by changes of observations: on training tasks, which the decoder knows by heart, they tell
    # more than on others, so that a choice that is made there would take it for better than it is.
    del makers["explained"]
    if not parts.structure.tasks_are_known:  # nothing else has a decoder
        del makers["decoded"]
    return chosen.make([make() for make in makers.values()])
