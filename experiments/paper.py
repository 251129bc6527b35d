"""What the paper says of the half-circle point robot, for tables and figures of the same runs."""

from collections.abc import Iterable

from experiments.published import ENV, RETURNS
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.plane.pictures import Choice
from structlat_jax.report.table import Published

BEST = "dir:2x4,gau:2"
"""The latent space whose paths its Figure 3 shows."""

TABLE = Published(
    RETURNS,
    "Does the paper's ordering hold? Each row against the one before it",
    "The paper gives neither seeds nor spread, and not its protocol.",
)

FIGURES = Choice(
    panels=lambda case: any(block.family == "dir" for block in case.space.blocks),
    panels_why="it compares latents with a Dirichlet block",
    paths=lambda case: case.files.latent == BEST,
    paths_why=f"it shows {BEST}",
    reported=lambda run: RETURNS.get(run.latent),
)
"""What its Figures 2 and 3 show, beside its Table 1."""


def choose(run: RunFiles) -> Choice | None:
    """Which runs its figures show, for runs of the environment of one of them."""
    return FIGURES if is_its(run) else None


def published(runs: Iterable[RunFiles]) -> Published | None:
    """What to give to `table.build`: nothing unless all runs are of the paper's own tasks."""
    return TABLE if all(is_its(run) for run in runs) else None


def is_its(run: RunFiles) -> bool:
    """Whether a run is of the paper's tasks: its environment, without an option changed."""
    name, options = run.env
    own = run.config.env.name == ENV  # and not a file's that has taken the name
    return name == ENV and own and not options
