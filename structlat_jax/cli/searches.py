"""What is searched, as text: ``FIELD=LOW:HIGH``, ``FIELD=LOW:HIGH:log`` and ``FIELD=VALUE,...``."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from structlat_jax import config as configuration
from structlat_jax.cli import changes
from structlat_jax.config import Config
from structlat_jax.envs import Env
from structlat_jax.options import ConfigError
from structlat_jax.run.proposals import Axes, Range
from structlat_jax.train.setup import make_setup

_LOG = "log"


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


def require_allowed(config: Config, env: Env, given: Axes) -> None:
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
