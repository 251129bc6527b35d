"""Options: fields of frozen records that carry their help text and their limits.

Validation, the command line and the documentation read what stands here, so that a default, its
explanation and its range are written once.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

_NAME = re.compile(r"`([a-z][a-z0-9_]*)`")
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
"""What values of a type are called in sentences."""


class ConfigError(ValueError):
    """A value that is not allowed, in one sentence: FIELD must be RULE, not VALUE.

    Attributes:
      field: The field's name; None where the sentence is not of this form (see `free`).
      rule: What the field must be; names of other fields stand in backticks. Without a field, the
        whole sentence.
      value: What was given.
    """

    def __init__(self, field: str | None, rule: str, value: Any = None):
        super().__init__(field, rule, value)
        self.field, self.rule, self.value = field, rule, value

    @classmethod
    def free(cls, text: str) -> "ConfigError":
        """An error whose sentence has another form; names of fields stand in backticks."""
        return cls(None, text)

    def sentence(self, name: Callable[[str], str] = str) -> str:
        """The sentence, every field in it called what ``name`` makes of it, such as its flag."""
        rule = _NAME.sub(lambda found: name(found[1]), self.rule)
        if self.field is None:
            return rule
        return f"{name(self.field)} must be {rule}, not {self.value!r}."

    def __str__(self) -> str:
        return self.sentence()


def option(
    default: Any,
    text: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] | None = None,
    where: Mapping[str, tuple[str, ...]] | None = None,
) -> Any:
    """A field of a frozen dataclass.

    Args:
      default: Its default.
      text: What it is, for ``--help``.
      low, high: The least and the greatest value that is allowed.
      above: What it must exceed.
      choices: All that it may be.
      where: Values of other options without one of which each it is not read.
    """
    limits = {"low": low, "high": high, "above": above, "choices": choices}
    about = {"help": text, "where": dict(where or {}), **limits}
    return dataclasses.field(default=default, metadata=about)


def whole(text: str) -> int:
    """A whole number as it is written, 1e4 and 20.0 included; raises `ValueError` on any other
    text."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not math.isfinite(number) or number != int(number):
        raise ValueError(f"{text!r} is not a whole number")
    return int(number)


def allowed(field: dataclasses.Field) -> str:
    """What an option may be, in words; empty where anything of its type may."""
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


def conditions(field: dataclasses.Field) -> str:
    """Where an option is read, in words: ``posterior: task or truth; algorithm: pearl``; empty
    where it always is."""
    where = field.metadata["where"].items()
    return "; ".join(f"{name}: {' or '.join(values)}" for name, values in where)


def check(record: Any) -> Any:
    """Raises `ConfigError` unless every option of a record has its type and keeps its limits.

    Args:
      record: A dataclass instance whose fields are all made by `option`.

    Returns:
      The record with `plain` values.
    """
    values = {f.name: plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    for field in dataclasses.fields(record):
        _check(field, values[field.name])
    changed = {n: x for n, x in values.items() if x is not getattr(record, n)}
    return dataclasses.replace(record, **changed) if changed else record


def require_order(record: Any, name: str, other: str, below: bool = False) -> None:
    """Raises `ConfigError` if an option of a record is more than another one, or as much where it
    is to be ``below`` it."""
    value, most = getattr(record, name), getattr(record, other)
    if value > most - below:
        raise ConfigError(name, f"{'below' if below else 'at most'} `{other}` ({most})", value)


def plain(value: Any) -> Any:
    """A scalar of NumPy or of jax as Python's own of the same kind; anything else as it is."""
    if isinstance(value, np.generic | np.ndarray | jax.Array) and value.shape == ():
        return value if isinstance(value, jax.core.Tracer) else value.item()
    return value


def _check(field: dataclasses.Field, value: Any) -> None:
    accepted = (int, float) if field.type is float else (field.type,)
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or (is_bool and field.type is not bool):
        raise ConfigError(field.name, KINDS[field.type], value)
    number = value
    if field.type is float:
        with np.errstate(over="ignore"):
            number = float(np.float32(value))  # what the program will see
    if not _within(field.metadata, number):
        finite = field.type is float and abs(value) < float("inf")
        rounded = finite and _within(field.metadata, value)  # before it was
        suffix = " in single precision" if rounded else ""
        raise ConfigError(field.name, (allowed(field) or "finite") + suffix, value)


def _within(limits: Any, number: Any) -> bool:
    if isinstance(number, str) or limits["choices"] is not None:
        return limits["choices"] is None or number in limits["choices"]
    return (
        (limits["low"] is None or number >= limits["low"])
        and (limits["high"] is None or number <= limits["high"])
        and (limits["above"] is None or number > limits["above"])
        and abs(number) < float("inf")
    )
