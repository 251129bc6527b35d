"""Paths of this machine's file system, and addresses, which look like them."""

import re
from pathlib import Path

from structlat_jax.errors import InputError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local(what: str, given: str | Path) -> Path:
    """A path as somebody has given it; `pathlib` would take ``gs://bucket/run`` for a folder.

    Args:
      what: It is given as, for instance ``--out``.
      given: The path, as it was typed.

    Raises:
      InputError: if it is an address.
    """
    if is_address(given):
        raise InputError(refusal(what, given))
    return Path(given)


def is_address(given: str | Path) -> bool:
    """Whether it is one such as ``gs://bucket/run``."""
    return bool(_SCHEME.match(str(given)))


def refusal(what: str, given: str | Path) -> str:
    """The sentence about an address."""
    return (
        f"{what} must be a path of this machine's file system: addresses such as {str(given)!r} "
        "are not supported."
    )
