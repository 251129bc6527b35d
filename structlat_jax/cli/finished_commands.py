"""The commands of ``structlat`` about what was trained before: what each takes and says of itself.

As in `commands`, what does their work is imported when it is to be done.
"""

from typing import Any

import click

from structlat_jax.cli import options
from structlat_jax.cli.options import SectionedCommand, program_help
from structlat_jax.cli.values import LocalPath, Whole

ARM_FIELDS = (
    "inference",
    "choice",
    "hypotheses",
    "evidence_weight",
    "change_steps",
    "eval_episodes",
    "eval_prior_episodes",
    "eval_draws",
    "eval_repeats",
    "eval_encoder",
)
"""What an arm of ``evaluate`` may change: no loss of training reads any of it."""

DEFAULT_ARMS = ("choice=thompson", "inference=amortised", "eval_prior_episodes=1", "eval_draws=2")

_JOIN = """Suites that differ in their seeds alone, trained on several machines or one after the
other, as one suite of all of these seeds: its tables, its intervals and its pictures.

structlat suite --seeds 10 --seed 0 --out runs/here

structlat suite --seeds 10 --seed 10 --out runs/there

structlat join runs/here runs/there --out runs/suite

The seeds of one must follow those of another. Run folders stay where they are.
"""

_EVALUATE = """Trained agents under other protocols: the evaluation again, and nothing trained.

structlat evaluate runs/first --arms 'eval_draws=2;eval_prior_episodes=1'

An arm changes what the evaluation alone reads. All arms have the run's agents, test tasks and keys,
so that they are compared seed by seed, and the first, the unchanged one, gives the run's own
numbers. --env-option changes an option of the environment for all of them: how agents do on tasks
of another distribution than that they were trained on, for instance.
"""

_FIGURES = """Draws the figures of finished runs: comparisons, beliefs, maps where there are any,
what z does.

structlat figures runs/first --out figures
"""

_VIEW = """Writes finished runs as one HTML file in which their adaptation can be looked at step by
step.

structlat view runs/first runs/other --out view.html

The file opens from disk in any browser and needs no network: paths or observations, rewards met,
the belief about each block of z and what it has learned in nats, where hypotheses lead; two runs
side by side. Arrow keys go from step to step and from episode to episode, and space plays.
"""

_FILM = """Makes a film of one task's adaptation: what the agent does, what it is paid, what it
believes.

structlat film runs/first --task 3 --out film.gif
"""


@click.command("join", cls=SectionedCommand, help=program_help(_JOIN))
@click.argument("suites", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--out",
    type=LocalPath(),
    help="Folder of the tables and pictures, new or empty.  [runs/joined-DATE-TIME]",
)
def join(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import join as work

    return work.join(**given)


@click.command("evaluate", cls=SectionedCommand, help=program_help(_EVALUATE))
@click.argument("run", type=LocalPath())
@options.arms_option(DEFAULT_ARMS, f"of {', '.join(ARM_FIELDS)}")
@options.env_options
@click.option("--out", type=LocalPath(), help="JSON file to write.")
def evaluate(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import evaluate as work

    return work.compare(**given)


@click.command("figures", cls=SectionedCommand, help=program_help(_FIGURES))
@options.figure_options
def figures(**given: Any) -> None:
    """See its help."""
    from structlat_jax.cli import figures as work

    work.draw_all(**given)


@click.command("view", cls=SectionedCommand, help=program_help(_VIEW))
@click.argument("runs", nargs=-1, required=True, type=LocalPath())
@options.env_options
@click.option(
    "--out",
    type=LocalPath(),
    default="view.html",
    show_default=True,
    help="HTML file to write; one that is there is replaced.",
)
def view(**given: Any) -> None:
    """See its help."""
    from structlat_jax.cli import view as work

    work.write(**given)


@click.command("film", cls=SectionedCommand, help=program_help(_FILM))
@click.argument("run", type=LocalPath())
@options.env_options
@click.option(
    "--out",
    type=LocalPath(),
    default="film.gif",
    show_default=True,
    help="File to write, .gif or (with ffmpeg) .mp4; one that is there is replaced.",
)
@click.option(
    "--seed", type=Whole(0), default=0, show_default=True, help="Which seed of the run, from 0."
)
@click.option(
    "--task",
    type=Whole(1),
    default=1,
    show_default=True,
    help="Which test task, from 1, as pictures number them.",
)
def film(**given: Any) -> None:
    """See its help."""
    from structlat_jax.cli import film as work

    work.write(**given)
