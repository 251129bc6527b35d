"""What is searched, and how: from options or from a file.

As text: ``FIELD=LOW:HIGH``, ``FIELD=LOW:HIGH:log``, or ``FIELD=VALUE,VALUE,...`` as in a sweep.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from structlat_jax import config as configuration
from structlat_jax.cli import changes
from structlat_jax.config import Config
from structlat_jax.envs import AnyEnv
from structlat_jax.options import ConfigError
from structlat_jax.report.trials import Tried
from structlat_jax.run.plan import Plan
from structlat_jax.run.proposals import SAMPLERS, Axes, Range, Trial, points, propose
from structlat_jax.train.setup import make_setup

_LOG = "log"


class Search(NamedTuple):
    """What is searched, and how.

    Attributes:
      plan: What trials have in common.
      env: The environment.
      axes: What differs between them.
      trials: How many there are to be.
      batch: How many train together.
      sampler: One of `proposals.SAMPLERS`.
    """

    plan: Plan
    env: AnyEnv
    axes: Axes
    trials: int
    batch: int
    sampler: str

    def plan_of(self, params: dict[str, Any]) -> Plan:
        """The plan of a trial; raises `ConfigError`."""
        return dataclasses.replace(self.plan, config=self.plan.config.replace(**params))

    def following(self, tried: list[Tried]) -> list[dict[str, Any]]:
        """The next batch, a function of what was tried; raises `ValueError` if that was another
        search."""
        told = [Trial(one.params, one.value) for one in tried]
        count = min(self.batch, self.trials - len(tried))
        return propose(self.axes, told, count, self.plan.seed, self.sampler)


def read(plan: Plan, env: AnyEnv | None, data: dict[str, Any]) -> Search:
    """The search of the options or of a file; raises `ConfigError` if it makes none."""
    latents = changes.latent_specs(plan.config, data.get("latents"))
    try:
        found = axes(data.get("search"), latents)
    except ConfigError as error:
        raise ConfigError(None, f"`search`: {error}") from None
    plan = dataclasses.replace(plan, config=plan.config.replace(latent=latents[0]))
    for name in ("trials", "batch"):
        if type(data.get(name)) is not int or data[name] < 1:
            raise ConfigError(name, "a whole number from 1", data.get(name))
    if data.get("sampler") not in SAMPLERS:
        raise ConfigError("sampler", f"one of {', '.join(SAMPLERS)}", data.get("sampler"))
    return Search(plan, env, found, *(data[name] for name in ("trials", "batch", "sampler")))


def axes(given: Any, latents: Sequence[str]) -> dict[str, Range | list[Any]]:
    """What is searched, by field, in order.

    Args:
      given: Texts.
      latents: Latent specs; several of them are searched too.

    Raises:
      ConfigError: if a text cannot be read, if a field is there twice, or if there is none.
    """
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise ConfigError(None, f"a search is a list of FIELD=LOW:HIGH, not {given!r}.")
    found: dict[str, Range | list[Any]] = {}
    for text in given:
        name, axis = _axis(text)
        if name in found:
            raise ConfigError(None, f"{name} is searched twice.")
        found[name] = axis
    if len(latents) > 1:
        found["latent"] = list(latents)
    if not found:
        raise ConfigError(None, "nothing is searched; FIELD=LOW:HIGH says what is, for instance.")
    return found


def require_enough(search: Search) -> None:
    """Raises `ConfigError` if there are fewer combinations than there are to be trials."""
    if search.trials > (most := points(search.axes)):
        rule = f"at most {most}, the combinations of `search`, all of which a sweep would train"
        raise ConfigError("trials", rule, search.trials)


def require_allowed(config: Config, env: AnyEnv, given: Axes) -> None:
    """Raises `ConfigError` unless every trial is allowed.

    Rules are about one field or two and forbid what lies beyond some value, so every two fields are
    looked at where they begin and end; and beside that, since some whole numbers are powers. What
    an environment may lack is asked for by words alone.
    """
    edges = {name: _edges(axis) for name, axis in given.items()}
    base = config.replace(**{name: values[0] for name, values in edges.items()})
    for point in _pairs(edges):
        base.replace(**point)
    for point in _pairs({name: axis for name, axis in given.items() if isinstance(axis, list)}):
        make_setup(base.replace(**point), env)


def _edges(axis: Range | list[Any]) -> list[Any]:
    if isinstance(axis, list):
        return axis
    inner = [axis.low + 1, axis.high - 1] if isinstance(axis.low, int) else []
    return list(dict.fromkeys([axis.low, axis.high, *inner]))


def _pairs(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of any two fields."""
    for names in itertools.combinations(values, min(2, len(values))):
        yield from changes.points({name: values[name] for name in names})


def _axis(text: str) -> tuple[str, Range | list[Any]]:
    field, equals, values = text.partition("=")
    name = field.strip().replace("-", "_")
    if equals and ":" in values and name != "latent":
        return name, _range(name, values)
    ((name, listed),) = changes.axes([text]).items()
    if len(listed) < 2:
        raise ConfigError(
            None, f"{name} has one value only, {values.strip()!r}; that is an option of its own."
        )
    return name, listed


def _range(name: str, text: str) -> Range:
    low, high, *log = (part.strip() for part in text.split(":"))
    bounds = [changes.parse(f"{name}={bound}")[1] for bound in (low, high)]
    if configuration.fields()[name].type not in (int, float):
        raise ConfigError(None, f"{name} has no range, but values with commas, not {text!r}.")
    if log not in ([], [_LOG]):
        raise ConfigError(None, f"a range is LOW:HIGH or LOW:HIGH:{_LOG}, not {text!r}.")
    if not bounds[0] < bounds[1]:
        raise ConfigError(None, f"the range of {name} must begin below its end, not be {text!r}.")
    if log and bounds[0] <= 0:
        raise ConfigError(None, f"a log range must begin above 0; that of {name} is {text!r}.")
    return Range(*bounds, log=bool(log))
