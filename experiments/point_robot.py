"""Trains an agent on the sparse point robot and shows how it adapts to goals it has never seen.

python -m experiments.point_robot --latent dir:2x4,gau:2 --seeds 2
"""

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments import cli, platform
from experiments.record import write_run
from experiments.runner import PLAN_LIMITS, Plan, run
from structlat_jax import checkpoint
from structlat_jax.config import DEFAULT_UPDATES
from structlat_jax.report import progress


def _whole(name: str) -> click.IntRange:
    return click.IntRange(*PLAN_LIMITS[name][1:])


@click.command(cls=cli.SectionedCommand, help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.option(
    "--seeds",
    type=_whole("seeds"),
    default=1,
    show_default=True,
    help="How many seeds to train, as one program.",
)
@click.option("--seed", type=_whole("seed"), default=0, show_default=True, help="The first seed.")
@click.option(
    "--updates",
    type=_whole("updates"),
    help="Gradient updates per seed, rounded up to whole meta-steps. "
    f"[{'; '.join(f'{name}: {n:,}' for name, n in DEFAULT_UPDATES.items())}]",
)
@click.option(
    "--evals",
    type=_whole("evals"),
    default=20,
    show_default=True,
    help="Evaluations along the learning curve.",
)
@click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Least time between two checkpoints.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [runs/LATENT-DATE-TIME]")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out holds.")
@click.option("--resume", is_flag=True, help="Continue the run that --out holds.")
@cli.config_options
def command(out: Path | None, overwrite: bool, resume: bool, **options: Any) -> int:
    """See the module's docstring."""
    plan = _plan(options)
    if resume:
        plan = _saved_plan(out, overwrite, options)
        if (out / "results.json").is_file():
            click.echo(f"{out} is finished; there is nothing to resume")
            return 0
    platform.configure(plan.seeds)
    if not resume:
        out = out or _default_folder(plan)
        cli.prepare_folder(out, overwrite)
        checkpoint.write_config(out, plan.config, **plan.records())
    console = Console()
    total = plan.steps * plan.config.structure.updates_per_step
    with progress.Bar(total, console) as meter:
        outcome = run(plan, out, resume, meter)
    if outcome.interrupted:
        console.print(f"interrupted; continue with --resume --out {out}", highlight=False)
        return cli.EXIT_INTERRUPTED
    write_run(out, plan.config, outcome)
    console.print(progress.results_table(outcome.results))
    console.print(f"everything is in {out}", highlight=False)
    return 0


def _plan(options: dict[str, Any]) -> Plan:
    return Plan(
        config=cli.build_config(options["preset"], options),
        preset=options["preset"],
        seeds=options["seeds"],
        seed=options["seed"],
        updates=options["updates"] or DEFAULT_UPDATES[options["preset"]],
        evals=options["evals"],
        checkpoint_seconds=options["checkpoint_seconds"],
    )


def _saved_plan(out: Path | None, overwrite: bool, options: dict[str, Any]) -> Plan:
    """The plan in the folder; options that contradict it are refused, with the difference."""
    if out is None or overwrite:
        raise click.UsageError("--resume needs --out with the run folder, and no --overwrite.")
    config, data = checkpoint.read_config(out)
    fields = ("preset", "seeds", "seed", "updates", "evals", "checkpoint_seconds")
    saved = {name: data.get(name) for name in fields}
    flat = {**saved, **config.to_dict()["structure"], **config.to_dict()["hyper"]}
    context = click.get_current_context()
    typed = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    different = [
        f"--{name.replace('_', '-')} is {flat[name]!r} there and {value!r} here"
        for name, value in typed.items()
        if value != flat[name]
    ]
    if different:
        raise click.UsageError(f"--resume {out} has another configuration: {'; '.join(different)}.")
    return Plan(config=config, **saved)


def _default_folder(plan: Plan) -> Path:
    latent = plan.config.structure.latent.replace(":", "").replace(",", "-")
    return Path("runs") / f"{latent}-{time.strftime('%Y%m%d-%H%M%S')}"


if __name__ == "__main__":
    cli.main(command)
