"""Names that differ from each other, and names as parts of file names."""

import re
from collections.abc import Sequence


def distinct(specs: Sequence[str]) -> list[str]:
    """Names that may repeat, made distinct: a repeated one is numbered."""
    return [
        spec if specs.count(spec) == 1 else f"{spec}#{specs[: i + 1].count(spec)}"
        for i, spec in enumerate(specs)
    ]


def slug(text: str) -> str:
    """A text as a file name: whatever is not a letter, a number or one of ``._-`` is a hyphen, and
    so are dots alone, which would name another folder."""
    return re.sub(r"[^A-Za-z0-9._-]+|^\.+$", "-", text)


def latent_slug(spec: str) -> str:
    """A text with latent specs in it as a file name: ``dir:2x4,gau:2`` is ``dir2x4-gau2``."""
    return slug(spec.replace(":", ""))
