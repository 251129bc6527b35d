"""The pictures of a family of tasks: its latents side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from structlat_jax.report import curves, recovery
from structlat_jax.report.album import Album
from structlat_jax.report.figures_compare import adaptation_curves
from structlat_jax.report.figures_coverage import Coverage, prior_coverage
from structlat_jax.report.figures_matrix import Matrix, blocks_by_factor
from structlat_jax.report.figures_recovered import Recovered, recovered
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.names import slug
from structlat_jax.report.parts import believed
from structlat_jax.report.recovery import Recovery
from structlat_jax.report.results import over_seeds

Runs = Mapping[str, RunFiles]


def draw(title: str, runs: Runs, album: Album) -> dict[str, str]:
    """Every picture that applies; what does not is said in ``album.left_out``.

    Args:
      title: The family, which stands above each picture.
      runs: Finished runs of one environment by label; seeds that are not finite are left out.
      album: Takes the figures.

    Returns:
      What each figure that was added shows, by its name.
    """
    whole = {label: run.only_finite() for label, run in runs.items() if run.finite.any()}
    for label in runs.keys() - whole.keys():
        album.left_out.append(f"{label} of {title}: no seed is finite.")
    if not whole:
        return {}
    first = next(iter(whole.values()))
    shown = {"adaptation_curves": "Return by episode of the adaptation"}
    album.add("adaptation_curves", _adaptation, title, whole)
    if first.success() is None:
        album.left_out.append(
            f"solved_curves, prior_coverage: nothing says when {title} is a success."
        )
    else:
        shown["solved_curves"] = "Test tasks that an episode of the adaptation solves"
        album.add("solved_curves", _solved, title, whole)
        shown["prior_coverage"] = "Test tasks that episodes with z from the prior reach"
        album.add("prior_coverage", _coverage, title, whole)
    if any(run.results.get("recovery") for run in whole.values()):
        shown["recovery"] = "R^2 of each factor from each block of z"
        album.add("recovery", _matrix, title, whole)
    else:
        album.left_out.append(f"recovery: no factor of {title} is known.")
    for factor in _weights(first):
        name = f"recovered-{slug(factor)}"
        shown[name] = f"What beliefs say of {factor}, and the truth"
        album.add(name, _recovered, title, factor, whole)
    return {name: text for name, text in shown.items() if name in album.figures}


def _adaptation(title: str, runs: Runs) -> Figure:
    return adaptation_curves(_each(curves.adapting, runs), _prior(runs), title)


def _solved(title: str, runs: Runs) -> Figure:
    measured = "% of test tasks that an episode solves"
    figure = adaptation_curves(_each(curves.solving, runs), _prior(runs), title, measured)
    figure.axes[0].set_ylim(-2.0, 102.0)  # where bands of few seeds leave what a share can be
    return figure


def _prior(runs: Runs) -> list[int]:
    return [run.config.structure.blind_episodes for run in runs.values()]


def _coverage(title: str, runs: Runs) -> Figure:
    return prior_coverage(_each(_covered, runs), title)


def _covered(label: str, run: RunFiles) -> Coverage:
    success = run.success()[..., : run.config.structure.blind_episodes]
    reached = np.logical_or.accumulate(success, axis=-1)
    return Coverage(label, reached.mean(axis=(1, 2)))


def _matrix(title: str, runs: Runs) -> Figure:
    scores = {label: run.results.get("recovery", {}) for label, run in runs.items()}
    factors = list(dict.fromkeys(factor for own in scores.values() for factor in own))
    matrices = []
    for label, own in scores.items():
        blocks = list(dict.fromkeys(block for by_block in own.values() for block in by_block))
        rows = [[_number(own.get(f, {}).get(block)) for f in factors] for block in blocks]
        if rows:
            matrices.append(Matrix(label, blocks, rows))
    return blocks_by_factor(matrices, factors, title)


def _weights(run: RunFiles) -> list[str]:
    """The factors that are weights of several classes."""
    return [
        name
        for name, values in run.factors().items()
        if values.ndim > 2 and values.shape[-1] > 1 and recovery.are_weights(values)
    ]


def _recovered(title: str, factor: str, runs: Runs) -> Figure:
    def panel(label, run):
        found = recovery.of_evaluation(believed(run.config), run.arrays, run.finite)
        truth = recovery.of_all_tasks(run.arrays, f"factor_{factor}")
        unseen = np.arange(truth.shape[1]) >= run.returns("train").shape[1]
        return _panel(label, found[factor], truth, unseen)

    seeds = sorted({run.seeds for run in runs.values()})
    count = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    middle = "tasks of the seed whose R² is in the middle"
    note = "one seed" if seeds == [1] else f"{middle}\nin brackets: least and most of {count} seeds"
    return recovered(_each(panel, runs), factor, title, note)


def _panel(
    label: str, blocks: Mapping[str, Recovery], truth: np.ndarray, unseen: np.ndarray
) -> Recovered:
    """The block that tells most of weights ``[S, T, K]`` as they stand or, where none has as many
    classes, by a linear map; the tasks are those of the seed in the middle."""
    matching = {name: one for name, one in blocks.items() if one.matched is not None}
    scores = {name: one.matched for name, one in matching.items()}
    scores = scores or {name: one.linear for name, one in blocks.items()}
    best = max(scores, key=lambda name: over_seeds(scores[name])["mean"])
    one, own = blocks[best], scores[best]
    middle = np.argsort(own)[(np.isfinite(own).sum() - 1) // 2]
    says = one.weights if matching else one.predicted
    how = "classes matched" if matching else "linear map, cross-validated"
    lines = [label, how if best == label else f"{best}: {how}", _score(own)]
    return Recovered("\n".join(lines), truth[middle], says[middle][:, 0], unseen)


def _score(per_seed: np.ndarray) -> str:
    """The mean and, of several seeds, the least and the most: where one seed fails, an interval of
    the mean would reach beyond 1."""
    known = per_seed[np.isfinite(per_seed)]
    spread = f" ({known.min():.2f} to {known.max():.2f})" if len(known) > 1 else ""
    return f"R² {known.mean():.2f}{spread}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _each(make: Callable[[str, RunFiles], Any], runs: Runs) -> Sequence[Any]:
    return [make(label, run) for label, run in runs.items()]
