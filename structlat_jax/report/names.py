"""Names that differ from each other."""

from collections.abc import Sequence


def distinct(specs: Sequence[str]) -> list[str]:
    """Names that may repeat, made distinct: a repeated one is numbered."""
    return [
        spec if specs.count(spec) == 1 else f"{spec}#{specs[: i + 1].count(spec)}"
        for i, spec in enumerate(specs)
    ]
