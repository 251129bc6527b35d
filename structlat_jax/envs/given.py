"""Options of environments that must be numbers within a range."""

import math
import numbers
from typing import Any


def require_positive(**options: Any) -> None:
    """Raises `ValueError` unless each is a finite number above 0."""
    for name, value in options.items():
        if not (is_number(value) and value > 0):
            raise ValueError(f"{name} must be above 0 and finite, not {value!r}.")


def require_not_negative(**options: Any) -> None:
    """Raises `ValueError` unless each is a finite number of at least 0."""
    for name, value in options.items():
        if not (is_number(value) and value >= 0):
            raise ValueError(f"{name} must be at least 0 and finite, not {value!r}.")


def require_whole(least: int, **options: Any) -> None:
    """Raises `ValueError` unless each is a whole number of at least ``least``."""
    for name, value in options.items():
        if not (is_number(value) and int(value) == value and value >= least):
            raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def is_number(value: object) -> bool:
    """Whether it is a finite real number, and not a truth value."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)
