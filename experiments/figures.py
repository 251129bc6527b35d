"""Draws the figures of finished runs: the paper's, comparisons, beliefs, and what z does.

python -m experiments.figures runs/table1 --out figures
"""

from typing import Any

import click

from structlat_jax.cli.errors import main
from structlat_jax.cli.options import SectionedCommand, figure_options, program_help


@click.command(cls=SectionedCommand, help=program_help(__doc__))
@figure_options
def command(**options: Any) -> None:
    """See the module's docstring."""
    from experiments import paper
    from structlat_jax.cli.figures import draw

    draw(paper.choose, **options)


if __name__ == "__main__":
    main(command)
