"""Options: what a field of a configuration may be, declared once beside its default.

Whoever owns an option declares it in a frozen dataclass, with `option`; validation, the command
line and the documentation read the same declaration.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
"""What values of a type are called in sentences."""

_NAME = re.compile("`([a-z0-9_]+)`")


class ConfigError(ValueError):
    """A value that is not allowed.

    Attributes:
      field: The field's name, or None if it is about no field.
      rule: What is allowed, to stand behind "must be"; other fields stand in backticks.
      value: What was given.
    """

    def __init__(self, field: str | None, rule: str, value: Any = None):
        self.field, self.rule, self.value = field, rule, value
        super().__init__(self.sentence())

    def sentence(self, name: Callable[[str], str] = str) -> str:
        """The error in words.

        Args:
          name: What fields are called, for instance flags; as they are by default.
        """
        rule = _NAME.sub(lambda match: name(match[1]), self.rule)
        if self.field is None:
            return rule
        return f"{name(self.field)} must be {rule}, not {self.value!r}."


def option(
    default: Any,
    text: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """A field of a dataclass of options.

    Args:
      default: Its type is the field's.
      text: For ``--help``, without a capital letter or a full stop.
      low, high: Least and greatest value, both allowed.
      above: A lower limit that is not allowed itself.
      choices: All that is allowed.
    """
    limits = {"help": text, "low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


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


def check(record: Any) -> None:
    """Checks every field of a dataclass of options; raises `ConfigError`."""
    for field in dataclasses.fields(record):
        if "choices" in field.metadata:
            _check(field, getattr(record, field.name))


def _check(field: dataclasses.Field, value: Any) -> None:
    limits = field.metadata
    accepted = (int, float) if field.type is float else (field.type,)
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or (is_bool and field.type is not bool):
        raise ConfigError(field.name, KINDS[field.type], value)
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
        raise ConfigError(field.name, (allowed(field) or "finite") + suffix, value)
