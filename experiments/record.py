"""The files of a finished run: numbers, arrays and pictures."""

from pathlib import Path

import jax
import numpy as np

from experiments.outcome import Outcome
from structlat_jax.config import Config
from structlat_jax.report import results
from structlat_jax.report.figures_belief import belief
from structlat_jax.report.figures_learning import adaptation_curve, learning_curve
from structlat_jax.report.figures_paths import adaptation_paths, prior_paths, task_map
from structlat_jax.report.figures_style import save
from structlat_jax.report.progress import block_names
from structlat_jax.train.setup import Setup, make_setup

_ADAPTATION_FIELDS = ("returns", "amortised", "path", "z", "belief", "kl")


def write_run(out: Path, config: Config, outcome: Outcome) -> None:
    """Writes ``results.json``, ``adaptation.npz`` and the PNGs; ``results.json`` comes last, so
    that its presence means that all is there. Seeds that are not finite are in no picture.

    Args:
      out: The run folder.
      config: Of the run.
      outcome: From `runner.run`, not interrupted.
    """
    setup = make_setup(config)
    arrays = adaptation_arrays(setup, outcome)
    results.write_adaptation(out / "adaptation.npz", arrays)
    finite = np.isfinite(arrays["returns_test"]).all(axis=(1, 2, 3))
    if finite.any():
        draw(out, setup, outcome, {name: array[finite] for name, array in arrays.items()})
    results.write_results(out / "results.json", outcome.results)


def adaptation_arrays(setup: Setup, outcome: Outcome) -> dict[str, np.ndarray]:
    """The evaluation, split into training and test tasks.

    Returns:
      For each of ``train`` and ``test``: ``returns_test [S, T, R, E]``, ``path_test``,
      ``z_test``, ``belief_test``, ``kl_test`` with the axes of `evaluate.Adaptation`;
      ``oracle_test [S, T]``, ``label_test [S, T]`` and, if the environment has goals,
      ``goal_test [S, T, 2]``.
    """
    split = setup.config.structure.train_tasks
    arrays = {}
    parts = {"train": slice(0, split), "test": slice(split, None)}
    for kind, tasks in (("train", outcome.train_tasks), ("test", outcome.test_tasks)):
        for name in _ADAPTATION_FIELDS:
            arrays[f"{name}_{kind}"] = getattr(outcome.adaptation, name)[:, parts[kind]]
        features = {"oracle": setup.env.oracle_return, "label": setup.env.label}
        if setup.env.goal is not None:
            features["goal"] = setup.env.goal
        for name, of_task in features.items():
            arrays[f"{name}_{kind}"] = np.asarray(jax.vmap(jax.vmap(of_task))(tasks))
    return arrays


def draw(out: Path, setup: Setup, outcome: Outcome, arrays: dict[str, np.ndarray]) -> None:
    """Draws the pictures of a run; those of paths and beliefs show the first seed of ``arrays``."""
    prior = setup.config.structure.eval_prior_episodes
    spec = str(setup.space)
    save(_learning(setup, outcome, spec), out / "learning_curve.png")
    curve = adaptation_curve(arrays["returns_test"], arrays["oracle_test"], prior, title=spec)
    save(curve, out / "adaptation_curve.png")
    blocks = [(b.family, *b.groups, b.spec) for b in setup.space.blocks]
    picture = belief(
        blocks, arrays["belief_test"][0, :, 0], arrays["label_test"][0], prior, title=spec
    )
    save(picture, out / "belief.png")
    if setup.env.goal is None:
        return
    goals, radius = arrays["goal_test"][0], setup.env.goal_radius
    paths = arrays["path_test"][0][..., :2]  # [T, R, E, H + 1, 2]
    save(task_map(arrays["goal_train"][0], goals, radius), out / "task_map.png")
    from_prior = paths[:, :, :prior].reshape(-1, *paths.shape[-2:])
    save(prior_paths(from_prior, goals, title=spec), out / "prior_paths.png")
    adapting = adaptation_paths(
        paths[:, 0],
        goals,
        arrays["returns_test"][0, :, 0],
        arrays["oracle_test"][0],
        prior,
        radius,
        title=spec,
    )
    save(adapting, out / "adaptation_paths.png")


def _learning(setup: Setup, outcome: Outcome, spec: str):
    rows = [row for row in outcome.rows if "test_return" in row]
    failed = {one["seed"] for one in outcome.results["failed_seeds"]}
    seeds = sorted({row["seed"] for row in rows} - failed)
    names = block_names([block.spec for block in setup.space.blocks])

    def column(name):
        return np.array([[row[name] for row in rows if row["seed"] == seed] for seed in seeds])

    return learning_curve(
        updates=np.array([row["updates"] for row in rows if row["seed"] == seeds[0]]),
        test_return=column("test_return"),
        train_return=column("train_return"),
        prior_return=column("test_prior_return"),
        oracle=outcome.results["oracle_return"],
        title=spec,
        kl=np.stack([column(f"kl {name}") for name in names], axis=-1),
        block_names=names,
    )
