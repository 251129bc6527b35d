"""Host only: files, tables and pictures."""

import importlib.util
import os


def _forget_missing_backend() -> None:
    """A program that a notebook's cell starts inherits the name of the notebook's backend. Where
    its package is missing, matplotlib would refuse to be imported, though no picture needs one."""
    before, _, module = os.environ.get("MPLBACKEND", "").partition("module://")
    if module and not before and importlib.util.find_spec(module.partition(".")[0]) is None:
        del os.environ["MPLBACKEND"]


_forget_missing_backend()
