"""Trained agents under other protocols: the evaluation again, and nothing trained.

python -m experiments.protocols runs/first --arms 'eval_draws=2;eval_prior_episodes=1'

An arm changes what the evaluation alone reads. All arms have the run's agents, test tasks and keys,
so that they are compared seed by seed, and the first, the unchanged one, gives the run's own
numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments import changes, cli, platform
from structlat_jax import checkpoint
from structlat_jax.checkpoint import CheckpointError
from structlat_jax.config import Config, ConfigError
from structlat_jax.report import results
from structlat_jax.report.run_files import RunFiles, read_run
from structlat_jax.report.table import SHARE_OF_ORACLE
from structlat_jax.train import parallel
from structlat_jax.train.setup import make_setup

FIELDS = (
    "inference",
    "choice",
    "hypotheses",
    "evidence_weight",
    "eval_episodes",
    "eval_prior_episodes",
    "eval_draws",
    "eval_repeats",
)
"""What an arm may change: no loss of training reads any of it."""

DEFAULT_ARMS = ("choice=thompson", "inference=amortised", "eval_prior_episodes=1", "eval_draws=2")
FEW = 5
"""Episodes of `found_early` and, one later, of `few_shot_return`."""


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.argument("run", type=click.Path(path_type=Path))
@cli.arms_option(DEFAULT_ARMS, f"of {', '.join(FIELDS)}")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(run: Path, arms: Sequence[str], out: Path | None) -> int:
    """See the module's docstring."""
    if out is not None:
        cli.require_writable_file(out)
    configs = _configs(run, arms)
    files = read_run(run)
    platform.configure(files.seeds)
    params = _params(run, files.seeds)
    console = Console()
    rows: list[dict[str, Any]] = []
    for arm, config in configs.items():
        with console.status(arm):
            returns, oracle = evaluate(config, params, files)
        rows.append({"arm": arm, **measures(returns, oracle, rows[0] if rows else None)})
    _show(rows, f"{files.latent}, {files.seeds} seed(s), test tasks", console)
    if out is not None:
        found = {"latent": files.latent, "seeds": files.seeds}
        found |= {name: files.results[name] for name in ("first_seed", "updates")}
        found |= {"jax_version": jax.__version__, "rows": rows}
        cli.make_folder(out.parent)
        checkpoint.write_json(out, found)
    return 0


def evaluate(config: Config, params: Any, files: RunFiles) -> tuple[np.ndarray, np.ndarray]:
    """The run's last evaluation under another configuration.

    Args:
      config: Differs from the run's in `FIELDS` only.
      params: Of its agents, ``[seeds]``.
      files: The run.

    Returns:
      Returns on test tasks ``[S, T, R, E]``, and the oracle's ``[S, T]``; seeds that are not finite
      are left out.

    Raises:
      CheckpointError: if none is left.
    """
    finite = np.isfinite(files.arrays["returns_test"]).all(axis=(1, 2, 3))
    if not finite.any():
        raise CheckpointError(f"{files.path} has no seed that is finite.")
    programs = parallel.make_programs(make_setup(config), files.seeds)
    numbers = parallel.seed_numbers(programs, files.results["first_seed"])
    # A seed fixes its tasks and keys; only the networks are those of the run.
    state = programs.init(numbers)._replace(params=parallel.pad(programs, params))
    last = parallel.place(programs, jnp.full_like(numbers, files.results["updates"]))
    hyper = parallel.spread(programs, config.hyper)
    found = parallel.trim(programs, programs.evaluate(hyper, state, numbers, last).returns)
    return found[finite, config.structure.train_tasks :], files.arrays["oracle_test"][finite]


def measures(
    returns: np.ndarray, oracle: np.ndarray, first: dict[str, Any] | None
) -> dict[str, Any]:
    """The numbers of an arm.

    Args:
      returns: ``[S, T, R, E]``.
      oracle: ``[S, T]``.
      first: The numbers of the arm to compare with.

    Returns:
      ``last_return`` and ``few_shot_return`` (that of episode 6; None if there are fewer) as
      `results.over_seeds`; ``difference``: of the last return, paired by seed; ``found_early``: the
      share of tasks that one of the first five episodes is rewarded for;
      ``episodes_to_80_percent_of_oracle``.
    """
    last = results.over_seeds(results.last_episode(returns))
    few = results.over_seeds(results.last_episode(returns[..., : FEW + 1]))
    level = SHARE_OF_ORACLE * float(oracle.mean())
    found = {
        "last_return": last,
        "few_shot_return": few if returns.shape[-1] > FEW else None,
        "found_early": float((returns[..., :FEW] > 0).any(axis=-1).mean()),
        "episodes_to_80_percent_of_oracle": results.episodes_until_level(returns, level),
    }
    if first is not None:
        pair = (np.array(one["last_return"]["per_seed"]) for one in (found, first))
        found["difference"] = results.over_seeds(np.subtract(*pair))
    return found


def _configs(run: Path, arms: Sequence[str]) -> dict[str, Config]:
    config, _ = checkpoint.read_config(run)
    try:
        found = changes.arms(config, changes.split(arms))
        for field in (field for one in found.values() for field in changes.between(config, one)):
            if field not in FIELDS:
                raise ConfigError(
                    f"an evaluation reads {', '.join(FIELDS)}; {field} needs another training."
                )
    except ConfigError as error:
        raise click.UsageError(f"--arms: {error}") from None
    made_without = config.structure.inference == "amortised"
    if made_without and any(one.structure.inference != "amortised" for one in found.values()):
        raise click.UsageError(f"--arms: the agents in {run} have no world model for hypotheses.")
    return found


def _params(run: Path, seeds: int) -> Any:
    each = [checkpoint.load_params(run, seed)[1] for seed in range(seeds)]
    return jax.tree.map(lambda *x: np.stack(x), *each)


def _show(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    table = Table(title=title)
    table.add_column("", overflow="fold")  # an arm's name may be long, and is not to be cut
    for name in ("last episode", "difference", f"episode {FEW + 1}", f"found in {FEW}", "80 %"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["arm"],
            _spread(row["last_return"]),
            _spread(row.get("difference"), "+.2f"),
            _spread(row["few_shot_return"]),
            f"{100 * row['found_early']:.0f} %",
            str(row["episodes_to_80_percent_of_oracle"] or "-"),
        )
    console.print(table)


def _spread(value: dict[str, Any] | None, form: str = ".2f") -> str:
    if value is None or value["mean"] is None:
        return "-"
    interval = value["ci95"]
    ends = "" if interval is None else f" ({interval[0]:{form}} to {interval[1]:{form}})"
    return f"{value['mean']:{form}}{ends}"


if __name__ == "__main__":
    cli.main(command)
