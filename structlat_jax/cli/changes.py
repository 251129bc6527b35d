"""Changes to a configuration as text: ``FIELD=VALUE``, latent specs, and grids of both."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from structlat_jax import config as configuration
from structlat_jax.config import Config
from structlat_jax.options import KINDS, ConfigError, whole

UNCHANGED = "unchanged"

_READERS = {bool: {"true": True, "false": False}.__getitem__, int: whole}


def parse(text: str) -> tuple[str, Any]:
    """``FIELD=VALUE`` to the field's name and a value of its type.

    Raises:
      ConfigError: if there is no such field, or if the value is not of its type.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.replace("-", "_")
    field = configuration.fields().get(name)
    if not equals or field is None:
        raise ConfigError(
            None, f"a change is FIELD=VALUE with a field of the configuration, not {text!r}."
        )
    try:
        return name, _READERS.get(field.type, field.type)(value)
    except (KeyError, ValueError):
        raise ConfigError(name, KINDS[field.type], value) from None


def split(texts: Sequence[str]) -> list[str]:
    """What an option that may be given several times holds, with semicolons between its parts."""
    return [one.strip() for text in texts for one in text.split(";")]


def arms(base: Config, given: Any, default: bool = False) -> dict[str, Config]:
    """The configuration of each arm of a comparison by its name, the unchanged one first.

    Args:
      base: What the arms change.
      given: Arms, each ``FIELD=VALUE`` or several joined by ``+``.
      default: Whether nobody asked for these: those that change nothing here, or what may not be
        changed, are left out.

    Raises:
      ConfigError: if one cannot be read, changes nothing, or is there twice.
    """
    if not isinstance(given, list) or not all(isinstance(arm, str) for arm in given):
        raise ConfigError(None, f"arms must be a list of changes, not {given!r}.")
    made = {UNCHANGED: base}
    for arm in given:
        if arm in made:
            raise ConfigError(None, f"arms must differ from each other, but {arm} is there twice.")
        try:
            made[arm] = base.replace(**dict(parse(part) for part in arm.split("+")))
            if all(unread(made[arm], name) for name in between(base, made[arm])):
                raise ConfigError(None, f"{arm} changes nothing{_why(made[arm], base)}.")
        except ConfigError:
            if not default:
                raise
            made.pop(arm, None)
    return made


def unread(config: Config, name: str) -> str:
    """Why a configuration does not read one of its fields, in words with other fields in backticks;
    empty if it does."""
    for other, values in configuration.fields()[name].metadata["where"].items():
        value = getattr(config.structure, other)
        if value not in values:
            return f"that takes `{other}` {' or '.join(values)}, and it is {value}"
    return ""


def _why(made: Config, base: Config) -> str:
    return "".join(f": {name} is not read ({unread(made, name)})" for name in between(base, made))


def between(one: Config, other: Config) -> list[str]:
    """The fields in which two configurations differ."""
    before, after = one.to_dict(), other.to_dict()
    return [
        name
        for section in ("structure", "hyper")
        for name, value in before[section].items()
        if after[section][name] != value
    ]


def latent_specs(config: Config, given: Any) -> list[str]:
    """Latent specs as the library writes them.

    Raises:
      ConfigError: about ``latents``, unless all are good and differ from each other.
    """
    if not isinstance(given, list) or not given:
        raise ConfigError("latents", "latent specs", given)
    specs = []
    for one in given:
        try:
            spec = str(config.replace(latent=one).latent_space())
        except ConfigError as error:
            raise ConfigError(None, f"`latents`: {str(error).removeprefix('latent: ')}") from None
        if spec in specs:
            raise ConfigError(
                None, f"latents must differ from each other, but {spec} is there twice."
            )
        specs.append(spec)
    return specs


def axes(given: Any) -> dict[str, list[Any]]:
    """The axes of a grid: texts ``FIELD=VALUE,VALUE,...`` to values by field, in order.

    Raises:
      ConfigError: if one cannot be read, or if a field or one of its values is there twice.
    """
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise ConfigError(None, f"a grid is a list of FIELD=VALUE,VALUE, not {given!r}.")
    found: dict[str, list[Any]] = {}
    for text in given:
        name, equals, values = text.partition("=")
        pairs = [parse(f"{name}={value}") if equals else parse(text) for value in values.split(",")]
        name = pairs[0][0]
        if name == "latent":
            raise ConfigError(None, "latent specs hold commas; they go into --latents.")
        if name in found:
            raise ConfigError(None, f"{name} is an axis twice.")
        found[name] = [value for _, value in pairs]
        # Numbers that single precision cannot tell apart would be one run twice.
        distinct = {np.float32(v) if isinstance(v, float) else v for v in found[name]}
        if len(distinct) < len(found[name]):
            raise ConfigError(
                None, f"the values of {name} must differ from each other, not {values!r}."
            )
    return found


def points(given: dict[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Every combination of the axes' values, the last axis fastest; one empty one without axes."""
    for values in itertools.product(*given.values()):
        yield dict(zip(given, values, strict=True))
