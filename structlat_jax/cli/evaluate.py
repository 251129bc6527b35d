"""What ``structlat evaluate`` does: trained agents under other protocols."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from structlat_jax.cli import changes, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.finished_commands import ARM_FIELDS
from structlat_jax.cli.options import typed
from structlat_jax.config import Config
from structlat_jax.envs.base import AnyEnv, labels
from structlat_jax.errors import InputError
from structlat_jax.inference import chosen
from structlat_jax.inference.base import Learned
from structlat_jax.options import ConfigError
from structlat_jax.report import results
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.run_files import read_run
from structlat_jax.run import machine
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import CheckpointError, read_config, write_json
from structlat_jax.train import parallel, repeats
from structlat_jax.train.evaluate import Adaptation, References
from structlat_jax.train.setup import Setup, make_setup
from structlat_jax.train.state import TrainState

FEW = 5
"""Episodes of `found_early` and, one later, of `few_shot_return`."""


def compare(run: Path, arms: Sequence[str], out: Path | None, **options: Any) -> int:
    """Evaluates a run under each arm, shows the numbers, and writes them to ``out`` if it is given;
    returns the exit code.

    Raises:
      InputError, ConfigError, EnvError, CheckpointError, FileNotFoundError: on bad input.
      WriteError: if the file cannot be written.
    """
    if out is not None:
        require_writable_file(out)
    default = not typed({"arms": arms})
    configs = _configs(run, arms, default)
    files = read_run(run)
    machine.configure(files.seeds)
    machine.require_devices()
    env = request.saved_env(files.config, options)
    unchanged = make_setup(files.config, env)
    setups = _setups(configs, env, default)
    start = _fresh(unchanged, files)
    if env.spec is not None and env.spec.options == files.config.env.options:
        require_same_tasks(unchanged, files, start.state)
    learned = learned_of(run, files.seeds, unchanged)
    known = references(unchanged, files, start)
    console = make_console()
    rows: list[dict[str, Any]] = []
    for arm, setup in setups.items():
        with console.status(Text(arm)):
            found = evaluate(setup, learned, files)
        rows.append({"arm": arm, **measures(found, known, rows[0] if rows else None)})
    _show(rows, f"{files.title}, {files.seeds} seed(s), test tasks", console)
    if out is not None:
        said = {"latent": files.latent, "env": str(env.spec), "seeds": files.seeds}
        said |= {name: files.results[name] for name in ("first_seed", "updates")}
        said |= {"jax_version": jax.__version__, "rows": rows}
        make_folder(out.parent)
        write_json(out, said)
    return 0


class Start(NamedTuple):
    """The programs of a run's seeds, their numbers, and the state that they start from."""

    programs: parallel.Programs
    numbers: jax.Array
    state: TrainState


def references(setup: Setup, files: RunFiles, start: Start) -> References:
    """What the returns of all arms are held against: test tasks of the setup's environment,
    ``[S, T]``; as `evaluate`."""
    finite = _finite(files)
    programs, numbers, fresh = start
    tasks = (fresh.train_tasks, fresh.test_tasks)
    found = parallel.trim(programs, programs.references(fresh.params, *tasks, numbers))
    return _on_test_tasks(setup, found, finite)


def require_same_tasks(setup: Setup, files: RunFiles, fresh: TrainState) -> None:
    """Holds the tasks that the run's seeds name against those that it stored.

    Raises:
      CheckpointError: if they are others, as under another version or setting of jax's generator.
    """
    seen = parallel.seen_tasks(setup, fresh.train_tasks, axis=1)
    for kind, tasks in (("train", seen), ("test", fresh.test_tasks)):
        stored = files.arrays.get(f"label_{kind}")
        drawn = np.stack([labels(setup.env, _of(tasks, seed)) for seed in range(files.seeds)])
        if stored is not None and stored.shape == drawn.shape and not _close(stored, drawn):
            raise CheckpointError(
                f"{files.path} was trained on other tasks than its seeds name here; evaluate it "
                f"with the version of jax ({files.results['jax_version']}) and the random-number "
                "settings (JAX_THREEFRY_PARTITIONABLE, for instance) of its training."
            )


def _of(tasks: Any, seed: int) -> Any:
    return jax.tree.map(lambda x: x[seed], tasks)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True)


def evaluate(setup: Setup, learned: Learned, files: RunFiles) -> Adaptation:
    """The run's last evaluation under another configuration.

    Args:
      setup: Its configuration differs from the run's in `ARM_FIELDS` only; its environment may draw
        other tasks.
      learned: What its agents have learned, ``[seeds]``.
      files: The run.

    Returns:
      The evaluation on test tasks, ``[S, T, R, E, ...]``; seeds that are not finite are left out.

    Raises:
      CheckpointError: if no seed is finite.
    """
    finite = _finite(files)
    programs, numbers, fresh = _fresh(setup, files)
    # A seed fixes its tasks and keys; only what was learned is the run's.
    own = parallel.pad(programs, learned)
    mine = chosen.fitted(setup.inference, own.inference, fresh.inference_params)
    state = fresh._replace(params=own.agent, inference_params=mine)
    hyper = parallel.spread(programs, setup.config.hyper)
    found = repeats.evaluate(programs, hyper, state, numbers, files.results["updates"]).adaptation
    return _on_test_tasks(setup, found, finite)


def _on_test_tasks(setup: Setup, found: Any, finite: np.ndarray) -> Any:
    """What is of the seeds that are finite and of the tasks behind the `seen_tasks`."""
    return jax.tree.map(lambda x: x[finite, setup.structure.seen_tasks :], found)


def _fresh(setup: Setup, files: RunFiles) -> Start:
    programs = parallel.make_programs(setup, files.seeds)
    numbers = parallel.seed_numbers(programs, files.results["first_seed"])
    return Start(programs, numbers, programs.init(numbers))


def _finite(files: RunFiles) -> np.ndarray:
    finite = np.isfinite(files.returns()).all(axis=(1, 2, 3))
    if not finite.any():
        raise CheckpointError(f"{files.path} has no seed that is finite.")
    return finite


def measures(found: Adaptation, known: References, first: dict[str, Any] | None) -> dict[str, Any]:
    """The numbers of an arm.

    Args:
      found: From `evaluate`.
      known: From `references`.
      first: The numbers of the arm to compare with.

    Returns:
      ``last_return`` and ``few_shot_return`` (that of episode 6; None if there are fewer) as
      `results.over_seeds`; ``difference``: of the last return, paired by seed;
      ``episodes_to_80_percent``, of the way from the floor to the last return; where the
      environment says what they are, ``found_early``: the share of tasks in which one of the first
      five episodes succeeds, ``percent_of_oracle`` and ``episodes_to_80_percent_of_oracle``.
    """
    returns, floor = found.returns, float(known.floor.mean())
    few = results.over_seeds(results.last_episode(returns[..., : FEW + 1]))
    numbers = {
        "last_return": results.over_seeds(results.last_episode(returns)),
        "few_shot_return": few if returns.shape[-1] > FEW else None,
        "episodes_to_80_percent": results.episodes_until(returns, floor),
    }
    if found.success is not None:
        early = found.success[..., :FEW].astype(bool).any(axis=-1)
        numbers["found_early"] = float(early.mean())
    if known.oracle is not None:
        best, last = float(known.oracle.mean()), numbers["last_return"]["mean"]
        level = results.way(floor, best, results.SHARE)
        numbers["percent_of_oracle"] = results.percent_of_way(last, floor, best)
        name = "episodes_to_80_percent_of_oracle"
        numbers[name] = results.episodes_until_level(returns, level)
    if first is not None:
        pair = (np.array(one["last_return"]["per_seed"]) for one in (numbers, first))
        numbers["difference"] = results.over_seeds(np.subtract(*pair))
    return numbers


def _setups(configs: dict[str, Config], env: AnyEnv, default: bool) -> dict[str, Setup]:
    """Those of the arms; one that the environment cannot have is left out where nobody asked for
    it."""
    made = {}
    for arm, config in configs.items():
        try:
            made[arm] = make_setup(config, env)
        except ConfigError as error:
            if not default:
                raise InputError(f"--arms: {arm}: {error}") from None
    return made


def _configs(run: Path, arms: Sequence[str], default: bool) -> dict[str, Config]:
    config, _ = read_config(run)
    try:
        found = changes.arms(config, changes.split(arms), default)
        for field in (field for one in found.values() for field in changes.between(config, one)):
            if field not in ARM_FIELDS:
                text = f"an arm changes {', '.join(ARM_FIELDS)}; {field} is none of them."
                raise ConfigError(None, text)
    except ConfigError as error:
        raise InputError(f"--arms: {error}") from None
    modelled = ("auto", "hypotheses")
    wanted = any(one.structure.inference in modelled for one in found.values())
    if wanted and config.structure.inference not in modelled:
        raise InputError(f"--arms: the agents in {run} have no world model for hypotheses.")
    return found


def learned_of(run: Path, seeds: int, setup: Setup) -> Learned:
    """What the agents of a run have learned, ``[seeds]``, on the host.

    Args:
      run: Its folder.
      seeds: How many it has.
      setup: Of its own configuration.

    Raises:
      CheckpointError: if something is not there, or not of the setup's shapes.
    """
    each = [checkpoint.load_learned(run, seed, setup) for seed in range(seeds)]
    return jax.tree.map(lambda *x: np.stack(x), *each)


def _show(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    columns = {
        "last episode": lambda row: _spread(row["last_return"]),
        "difference": lambda row: _spread(row.get("difference"), "+.2f"),
        f"episode {FEW + 1}": lambda row: _spread(row["few_shot_return"]),
        f"found in {FEW}": lambda row: f"{100 * row['found_early']:.0f} %",
        "80 %": lambda row: str(row["episodes_to_80_percent"] or "-"),
        "80 % of oracle": lambda row: str(row["episodes_to_80_percent_of_oracle"] or "-"),
        "% of oracle": lambda row: _percent(row["percent_of_oracle"]),
    }
    needed = {f"found in {FEW}": "found_early"}
    needed["80 % of oracle"] = "episodes_to_80_percent_of_oracle"
    needed["% of oracle"] = "percent_of_oracle"
    known = {name: cell for name, cell in columns.items() if needed.get(name, "arm") in rows[0]}
    if "% of oracle" in known:  # says more than how soon an agent comes near its own best
        del known["80 %"]
    table = Table(title=title)
    # An arm's name may be long, and is not to be cut.
    table.add_column("", overflow="fold", min_width=len("unchanged"))
    for name in known:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["arm"], *(cell(row) for cell in known.values()))
    console.print(table)


def _spread(value: dict[str, Any] | None, form: str = ".2f") -> str:
    if value is None or value["mean"] is None:
        return "-"
    interval = value["ci95"]
    ends = "" if interval is None else f" ({interval[0]:{form}} to {interval[1]:{form}})"
    return f"{value['mean']:{form}}{ends}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
