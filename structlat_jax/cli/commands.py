"""The commands of ``structlat``: what each takes and says of itself.

What does their work is imported when it is to be done, so that ``--help`` does not wait for it.
"""

import functools
from typing import Any

import click

from structlat_jax.cli import options
from structlat_jax.cli.options import SectionedCommand, program_help
from structlat_jax.cli.values import Whole
from structlat_jax.envs.families import KNOWN

DEFAULT_FAMILIES = ";".join(KNOWN)

_TRAIN = """Trains agents on an environment and shows how they adapt to tasks that they have never
seen.

structlat train --env my_env.py --latent dir:2x4,gau:2 --seeds 2
"""

_SWEEP = """Seeds, latent spaces and any hyper-parameter, every combination of them, on all devices.

structlat sweep --seeds 8 --grid lr=3e-4,1e-3 --grid kl_weight=0.001,0.003

Every combination is a run folder of its own, DIR/RUN. Runs that differ in traced hyper-parameters
only are one program and train together; each value of a size, and each latent space, is a program
of its own. At the end: DIR/sweep.csv, one row per run, seed and evaluation.

With --coordinator, --processes and --process-id, or with --cluster, several processes share the
work; start the same command in each of them. Process 0 writes DIR.
"""

_TUNE = """Searches hyper-parameters by Optuna: which to try next follows from what was tried.

structlat tune --search lr=1e-4:1e-2:log --search kl_weight=0.001:0.1:log --batch 8

What is maximised is the return of the last episode on TRAINING tasks, its mean over the seeds that
stay finite: test tasks choose nothing. A trial of which none does has failed. Trials of a batch
that differ in traced hyper-parameters only are one program and train together; each value of a size
or of a word that selects a program, and each latent space, is a program of its own.

Every trial is a run folder, DIR/trial-NNNN. At the end: DIR/tune.csv, one row per trial,
DIR/best.json for --config, DIR/tune.png. A batch is a function of --seed and the trials before it,
so that the same command finds the same; --resume continues, and --resume --trials MORE goes on.
"""

_SUITE = """Does structure in the latent pay? Families of tasks with known structure, latent by
latent.

structlat suite --seeds 4 --out runs/suite

A family is an environment and its options, NAME+OPTION=VALUE+...; by default those whose tasks are
mixtures. In each, a Gaussian latent stands beside one of equal width that is shaped like the ground
truth, and beside its categorical baseline; --latents compares others. Every family has a folder
with a run folder per latent and pictures of all of them; each latent is compared with the first,
seed by seed. At the end: DIR/suite.md and DIR/suite.json. --resume continues, family by family, and
makes the pictures again.
"""

_CONFIG = """Shows the configuration that a command would use, as JSON for ``--config``.

structlat config --env my_env.py --preset paper --width 128
"""


@click.command("train", cls=SectionedCommand, help=program_help(_TRAIN))
@options.env_options
@options.run_options(seeds=1, default_folder="runs/ENV-LATENT-DATE-TIME")
@options.origin_option
@options.logger_options
@options.config_options
def train(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import train as work

    return work.train(**given)


@click.command("sweep", cls=SectionedCommand, help=program_help(_SWEEP))
@options.latents_option("the preset's")
@click.option(
    "--grid",
    multiple=True,
    metavar="FIELD=VALUES",
    help="An axis: a field of the configuration and its values with commas between them; may be "
    "given several times.",
)
@options.env_options
@options.host_options
@options.run_options(seeds=4, default_folder="runs/sweep-DATE-TIME")
@functools.partial(options.config_options, without=("latent",))
def sweep(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import sweep as work

    return work.sweep(**given)


@click.command("tune", cls=SectionedCommand, help=program_help(_TUNE))
@click.option(
    "--search",
    multiple=True,
    metavar="FIELD=RANGE",
    help="A field of the configuration and its range, LOW:HIGH or LOW:HIGH:log, both included, or "
    "its values with commas between them; may be given several times.",
)
@options.latents_option("the preset's; several are searched")
@click.option(
    "--trials",
    type=Whole(1, 100_000),
    default=32,
    show_default=True,
    metavar="N",
    help="How many trials, all batches together.",
)
@click.option(
    "--batch",
    type=Whole(1, 10_000),
    default=8,
    show_default=True,
    metavar="N",
    help="How many trials train together, none knowing what the others are worth.",
)
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "random"]),
    default="tpe",
    show_default=True,
    help="Who proposes: a tree of Parzen estimators, or chance.",
)
@options.env_options
@options.run_options(seeds=2, default_folder="runs/tune-DATE-TIME")
@functools.partial(options.config_options, without=("latent",))
def tune(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import tune as work

    return work.tune(**given)


@click.command("suite", cls=SectionedCommand, help=program_help(_SUITE))
@click.option(
    "--families",
    multiple=True,
    default=[DEFAULT_FAMILIES],
    metavar="SPECS",
    help="Environments with semicolons between them (quote them), each NAME+OPTION=VALUE+...; may "
    f"be given several times.  [{DEFAULT_FAMILIES}]",
)
@options.latents_option("as the ground truth of each family suggests")
@options.run_options(seeds=20, default_folder="runs/suite-DATE-TIME")
@functools.partial(options.config_options, without=("latent",))
def suite(**given: Any) -> int:
    """See its help."""
    from structlat_jax.cli import suite as work

    return work.compare(**given)


@click.command("config", cls=SectionedCommand, help=program_help(_CONFIG))
@options.env_options
@options.run_options(seeds=1, default_folder=None)
@options.config_options
def config(**given: Any) -> None:
    """See its help."""
    from structlat_jax.cli import config as work

    work.show(**given)


@click.command("envs")
@options.env_options
def envs(env: str | None, env_options: tuple[str, ...]) -> None:
    """Lists the environments that have a name; with --env, what is known of one."""
    from structlat_jax.cli import config as work

    work.show_environments(env, env_options)
