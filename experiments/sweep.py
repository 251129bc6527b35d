"""Seeds, latent spaces and any hyper-parameter, every combination of them, on all devices.

python -m experiments.sweep --seeds 8 --grid lr=3e-4,1e-3 --grid kl_weight=0.001,0.003

Every combination is a run folder of its own, DIR/RUN. Runs that differ in traced hyper-parameters
only are one program and train together; each value of a size, and each latent space, is a program
of its own. At the end: DIR/sweep.csv, one row per run, seed and evaluation.

With --coordinator, --processes and --process-id, or with --cluster, several processes share the
work; start the same command in each of them. Process 0 writes DIR.
"""

import dataclasses
import functools
import itertools
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
from rich.console import Console
from rich.table import Table

from experiments import changes, cli, hosts, job, platform, rows, shares
from experiments.plan import Plan
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CONFIG_FILE, CheckpointError
from structlat_jax.config import Config, ConfigError
from structlat_jax.report import progress
from structlat_jax.report.results import write_metrics
from structlat_jax.report.run_files import evaluated, read_run

SWEEP_CONFIG_FILE = "sweep_config.json"
SWEEP_FILE = "sweep.csv"


class Grid(NamedTuple):
    """What a sweep spans: latent specs, and the values of every other axis by its field."""

    latents: list[str]
    axes: dict[str, list[Any]]

    def runs(self, out: Path, plan: Plan) -> list[tuple[str, Path, Plan]]:
        """Label, folder and plan of each run, for `rows.make`; raises `ConfigError`."""
        made = []
        for latent, point in itertools.product(self.latents, changes.points(self.axes)):
            config = plan.config.replace(latent=latent, **point)
            values = [f"{name}={value}" for name, value in point.items()]
            folder = changes.slug("_".join([job.slug(config), *values]))
            label = " ".join([latent, *values])
            made.append((label, out / folder, dataclasses.replace(plan, config=config)))
        return made


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.option(
    "--latents",
    multiple=True,
    metavar="SPECS",
    help="Latent specs with semicolons between them (quote them); may be given several times."
    "  [the preset's]",
)
@click.option(
    "--grid",
    multiple=True,
    metavar="FIELD=VALUES",
    help="An axis: a field of the configuration and its values with commas between them; may be "
    "given several times.",
)
@hosts.options
@job.run_options(seeds=4, default_folder="runs/sweep-DATE-TIME")
@functools.partial(cli.config_options, without=("latent",))
def command(out: Path | None, overwrite: bool, resume: bool, **options: Any) -> int:
    """See the module's docstring."""
    plan = job.make_plan(options)
    options["latents"] = changes.split(options["latents"]) or [str(plan.config.latent_space())]
    options["grid"] = changes.split(options["grid"])
    try:
        grid = _grid(plan, options)
    except ConfigError as error:
        raise click.UsageError(f"--{error}") from None
    if resume:
        job.require_folder(out, overwrite)
    platform.configure(len(grid.runs(Path(), plan)) * plan.seeds)
    hosts.join(**{name: options[name] for name in hosts.FIELDS})
    settle = functools.partial(_settle, out, overwrite, resume, plan, options)
    said = hosts.agreed(settle)
    out, config = Path(said["out"]), Config.from_dict(said["sweep"])
    plan = job.saved_plan(config, said["sweep"])
    grid = _grid(plan, said["sweep"])
    made = rows.make(grid.runs(out, plan))
    console = Console(quiet=not hosts.is_first())
    with hosts.leaving_together(), job.interruptible(out, console):
        _train(made, said["finished"], out, console)
        shares.clear(out)
        return _report(made, list(grid.axes), out, console) if hosts.is_first() else 0


def _grid(plan: Plan, given: dict[str, Any]) -> Grid:
    """The grid of the options or of a file; raises `ConfigError` unless every run is allowed."""
    latents = changes.latent_specs(plan.config, given.get("latents"))
    try:
        grid = Grid(latents, changes.axes(given.get("grid")))
        grid.runs(Path(), plan)
    except ConfigError as error:
        raise ConfigError(f"grid: {error}") from None
    return grid


def _settle(
    out: Path | None, overwrite: bool, resume: bool, plan: Plan, options: dict[str, Any]
) -> dict[str, Any]:
    """The folder, what its ``sweep_config.json`` says, and which runs are finished; for process 0.

    Raises:
      click.UsageError, CheckpointError, FileNotFoundError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    if resume:
        data = _saved(out, options)
    else:
        out = out or Path("runs") / f"sweep-{time.strftime('%Y%m%d-%H%M%S')}"
        cli.prepare_folder(out, overwrite, SWEEP_CONFIG_FILE)
        own = {name: options[name] for name in ("latents", "grid")}
        own |= {"processes": jax.process_count(), **plan.records()}
        checkpoint.write_config(out, plan.config, SWEEP_CONFIG_FILE, **own)
        data = {**own, **plan.config.to_dict()}
    config = Config.from_dict(data)
    plan = job.saved_plan(config, data)
    made = rows.make(_grid(plan, data).runs(out, plan))
    for row in made:
        if not (row.folder / CONFIG_FILE).exists():
            cli.make_folder(row.folder)
            checkpoint.write_config(row.folder, row.plan.config, **row.plan.records())
    return {"out": str(out), "sweep": data, "finished": [row.finished for row in made]}


def _saved(out: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the folder to be resumed says; options that contradict it are refused."""
    config, data = checkpoint.read_config(out, SWEEP_CONFIG_FILE)
    try:
        plan = job.saved_plan(config, data)
        _grid(plan, data)
    except ConfigError as error:
        raise CheckpointError(f"{out / SWEEP_CONFIG_FILE}: {error}") from None
    texts = {name: ";".join(data[name]) for name in ("latents", "grid")}
    typed = {**given, **{name: ";".join(given[name]) for name in texts}}
    saved = {**job.settings(config, data), **texts}
    own = {name: value for name, value in typed.items() if name not in hosts.FIELDS}
    job.refuse_differences(out, saved, own)
    if data.get("processes") != jax.process_count():
        raise click.UsageError(
            f"--resume {out} needs as many processes as it was started with "
            f"({data.get('processes')}), not {jax.process_count()}."
        )
    cli.claim(out)
    return data


def _train(made: list[rows.Row], finished: list[bool], out: Path, console: Console) -> None:
    done = {row.folder for row, there in zip(made, finished, strict=True) if there}
    groups = shares.groups(made)
    pending = [group for group in groups if not done.issuperset(r.folder for r in group.rows)]
    updates = made[0].plan.steps * made[0].plan.config.structure.updates_per_step
    with progress.Bar(len(groups) * updates, console) as meter:
        for i, group in enumerate(pending):
            before, after = len(groups) - len(pending) + i, len(pending) - 1 - i
            label = f"{group.name} ({len(group.rows)} x {made[0].plan.seeds} seeds)"
            shares.train(group, out, progress.Part(meter, label, updates, before, after))


def _report(made: list[rows.Row], axes: list[str], out: Path, console: Console) -> int:
    """Writes ``sweep.csv`` and prints the last return of each run.

    Returns:
      The exit code: `cli.EXIT_FAILED` if a seed is not finite, which is said too.
    """
    table = Table("run", "test return, last episode", "std over seeds")
    tidy, failed = [], []
    for row in made:
        run = read_run(row.folder)
        found = run.results["test_return"]
        table.add_row(
            row.label, *("" if found[x] is None else f"{found[x]:.2f}" for x in ("mean", "std"))
        )
        failed += [f"{row.label}: seed {one['seed']}" for one in run.results["failed_seeds"]]
        settings = job.settings(row.plan.config, row.plan.records())
        about = {"run": row.folder.name, "latent": run.latent}
        about |= {name: settings[name] for name in axes}
        for one in evaluated(run.metrics):
            one["current_kl_weight"] = one.pop("kl_weight")  # the axis is the end of its ramp
            tidy.append({**about, **one})
    write_metrics(out / SWEEP_FILE, tidy)
    console.print(table)
    console.print(f"everything is in {out}", highlight=False)
    if not failed:
        return 0
    cli.complain(
        f"not all seeds stayed finite ({'; '.join(failed)}); results.json of each run says when."
    )
    return cli.EXIT_FAILED


if __name__ == "__main__":
    cli.main(command)
