"""Names that differ from each other."""

from collections.abc import Sequence


def block_names(specs: Sequence[str]) -> list[str]:
    """Distinct names for blocks, or whatever else may repeat: a repeated one is numbered."""
    return [
        spec if specs.count(spec) == 1 else f"{spec}#{specs[: i + 1].count(spec)}"
        for i, spec in enumerate(specs)
    ]
