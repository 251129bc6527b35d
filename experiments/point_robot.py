"""Trains an agent on the sparse point robot and shows how it adapts to goals it has never seen.

python -m experiments.point_robot --latent dir:2x4,gau:2 --seeds 2
"""

from typing import Any

import click

from structlat_jax.cli import options
from structlat_jax.cli.errors import main


@click.command(cls=options.SectionedCommand, help=options.program_help(__doc__))
@click.option("--anchor-start", type=float, help="Angle of the first base task (radians). [0]")
@click.option("--anchor-end", type=float, help="Angle of the second base task (radians). [pi]")
@options.env_options
@options.run_options(seeds=1, default_folder="runs/ENV-LATENT-DATE-TIME")
@options.origin_option
@options.logger_options
@options.config_options
def command(anchor_start: float | None, anchor_end: float | None, **given: Any) -> int:
    """See the module's docstring."""
    if anchor_start is not None or anchor_end is not None:
        start = 0.0 if anchor_start is None else anchor_start
        end = 3.141592653589793 if anchor_end is None else anchor_end
        given["env_options"] = (*given["env_options"], f"anchors={start!r},{end!r}")
    from structlat_jax.cli.train import train  # which --help need not wait for

    return train(**given)


if __name__ == "__main__":
    main(command)
