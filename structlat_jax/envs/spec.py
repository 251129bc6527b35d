"""What names an environment in a configuration, a command line and a run folder."""

import ast
import dataclasses
import json
import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

DEFAULT = "point_robot"

FILE_MODULE = "structlat_env_"
"""What the names of modules made from files of environments begin with."""

Value = bool | int | float | str | tuple | None
"""An option of an environment; a tuple holds more of them."""


class EnvError(ValueError):
    """An environment that cannot be found, imported or made; the message says why."""


@dataclasses.dataclass(frozen=True)
class EnvSpec:
    """The name of an environment and the options that it is made with.

    Attributes:
      name: That of a built-in or a registered environment, ``package.module:factory``, or
        ``path/to/file.py:factory``; empty for one that was handed over as an object.
      options: By name, in the order given; sequences are tuples.
      title: The `Env.name` of what was made, once it was; a run folder keeps it.
      widths: ``(obs_dim, action_dim, horizon)`` likewise.
    """

    name: str = DEFAULT
    options: tuple[tuple[str, Value], ...] = ()
    title: str = dataclasses.field(default="", compare=False)
    widths: tuple[int, ...] = dataclasses.field(default=(), compare=False)

    @property
    def is_code(self) -> bool:
        """Whether making it imports a file or a module that the name points to."""
        return ":" in self.name or self.name.endswith(".py")

    @property
    def flag_again(self) -> str:
        """What names it again behind ``--resume`` if it is code, which a folder does not run by
        itself; empty otherwise."""
        return f" --env {shlex.quote(self.name)}" if self.is_code else ""

    def __str__(self) -> str:
        shown = self.name or f"{self.title or 'an environment'} (handed over as an object)"
        values = ", ".join(f"{name}={text(value)}" for name, value in self.options)
        return f"{shown} ({values})" if values else shown

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "options": dict(self.options),
            "title": self.title,
            "widths": list(self.widths),
        }

    @staticmethod
    def from_dict(data: Any) -> "EnvSpec":
        """The inverse of `to_dict`; raises `EnvError`."""
        if not isinstance(data, dict) or not isinstance(data.get("name", ""), str):
            raise EnvError("env must be an object with a name and options.")
        options, widths = data.get("options", {}), data.get("widths", ())
        if not isinstance(options, dict):
            raise EnvError(f"the options of env must be an object, not {options!r}.")
        sizes_fit = isinstance(widths, list | tuple) and all(type(x) is int for x in widths)
        title = data.get("title", "")
        if not sizes_fit or not isinstance(title, str):
            raise EnvError("the title of env must be text, and its widths whole numbers.")
        return spec(data.get("name", DEFAULT), options, title=title, widths=tuple(widths))


def spec(name: str, options: Mapping[str, Any] | None = None, **more: Any) -> EnvSpec:
    """An `EnvSpec` from plain values; raises `EnvError` on one that JSON cannot hold."""
    pairs = tuple((key, _plain(key, value)) for key, value in (options or {}).items())
    return EnvSpec(name, pairs, **more)


def parse_options(texts: Iterable[str]) -> dict[str, Value]:
    """``NAME=VALUE`` texts to options: a number, true or false, none, a list of them with commas
    between, or a text as it is.

    Raises:
      EnvError: if one is not of that form, or if a name is there twice.
    """
    found: dict[str, Value] = {}
    for one in texts:
        name, equals, value = one.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise EnvError(f"an option of an environment is NAME=VALUE, not {one!r}.")
        if name in found:
            raise EnvError(f"the option {name} of the environment is there twice.")
        found[name] = _plain(name, _value(value.strip()))
    return found


def text(value: Value) -> str:
    """An option's value as `parse_options` reads it."""
    if isinstance(value, str):
        return (
            value if type(read := _value(value.strip())) is str and read == value else repr(value)
        )
    if not isinstance(value, tuple):
        return json.dumps(value)
    if not value or any(isinstance(one, tuple | str) for one in value):
        return repr(value)
    return ",".join(map(text, value)) + ("," if len(value) == 1 else "")


def _value(given: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if given.lower() in words:
        return words[given.lower()]
    try:
        return ast.literal_eval(given)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return _words(given)


def _words(given: str) -> Any:
    """A list with such words in it, or a text."""
    if "," not in given:
        return given
    found = [_value(one.strip()) for one in given.removesuffix(",").split(",")]
    return given if any(isinstance(one, str) for one in found) else tuple(found)


def _plain(name: str, value: Any) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_plain(name, one) for one in value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # of NumPy or JAX
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise EnvError(
        f"the option {name} of an environment must be a finite number, a text, true, false, none "
        f"or a list of them, not {value!r}."
    )


def canonical(name: str) -> str:
    """A name as it is stored: of a file without a factory, the factory is ``make``."""
    return f"{name}:make" if name.endswith(".py") else name
