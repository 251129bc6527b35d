"""Values that options take: whole numbers, and paths of this machine."""

from pathlib import Path
from typing import Any

import click

from structlat_jax import paths
from structlat_jax.errors import InputError
from structlat_jax.options import whole


class Whole(click.ParamType):
    """A whole number, which may be written as 1e4.

    Attributes:
      low, high: The least and the greatest that are allowed; None where anything is.
    """

    name = "whole number"

    def __init__(self, low: int | None = None, high: int | None = None):
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter, ctx: click.Context | None) -> int:
        try:
            number = whole(str(value))
        except ValueError:
            number = None
        above = self.low is None or (number is not None and number >= self.low)
        below = self.high is None or (number is not None and number <= self.high)
        if number is None or not above or not below:
            raise InputError(f"{param.opts[0]} must be {self._allowed()}, not {value!r}.")
        return number

    def _allowed(self) -> str:
        start = "a whole number" if self.low is None else f"a whole number from {self.low}"
        return start if self.high is None else f"{start} to {self.high}"


class LocalPath(click.Path):
    """A path of this machine's file system; an address is refused as it was typed."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter, ctx: click.Context | None) -> Path:
        paths.local(param.opts[0], value)
        return super().convert(value, param, ctx)
