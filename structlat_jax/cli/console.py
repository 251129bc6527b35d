"""The terminal that commands write to."""

from typing import Any

from rich.console import Console


def make_console(**options: Any) -> Console:
    """A console that shows every text as it is: paths, names and titles are a user's or a
    stranger's, and ``[bold]`` or ``:smile:`` in one of them is a part of it."""
    return Console(markup=False, emoji=False, highlight=False, **options)
