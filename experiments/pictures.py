"""Which figures there are, and what each one shows of which run."""

import json
from typing import Any, NamedTuple

import numpy as np

from experiments import effect
from experiments.album import Album
from structlat_jax import agent as agents
from structlat_jax.latents import LatentSpace
from structlat_jax.report.figures_compare import Curve, adaptation_curves, learning_curves
from structlat_jax.report.figures_paper import PriorPanel, prior_panels
from structlat_jax.report.figures_paths import adaptation_paths, task_map
from structlat_jax.report.figures_simplex import simplex
from structlat_jax.report.figures_sweep import sweep
from structlat_jax.report.run_files import RunFiles, evaluations
from structlat_jax.report.shares_table import percent, shares_record, shares_table
from structlat_jax.train.setup import Setup

BEST = "dir:2x4,gau:2"
"""The latent space whose paths the paper's Figure 3 shows."""

SWEEP_SCHEMA = 1
_SIMPLEX = ("dir", "cat")


class Case(NamedTuple):
    """A run to draw.

    Attributes:
      label: Names it in pictures: its latent spec, and its folder if another run has the same.
      file: Names it in file names.
      files: What it wrote.
      setup: Its environment and its latent space.
      seed: The seed to draw, counted from 0.
      mapped: Whether its paths and goals can be drawn.
    """

    label: str
    file: str
    files: RunFiles
    setup: Setup
    seed: int
    mapped: bool

    def of(self, name: str) -> np.ndarray:
        """The drawn seed's part of an array of ``adaptation.npz``."""
        return self.files.arrays[name][self.seed]

    @property
    def space(self) -> LatentSpace:
        return self.setup.space

    @property
    def prior(self) -> int:
        """How many episodes of the evaluation have z from the prior."""
        return self.setup.config.structure.eval_prior_episodes

    @property
    def oracle(self) -> float:
        return float(self.files.arrays["oracle_test"].mean())


def paper(cases: list[Case], album: Album) -> None:
    """Figures 1 to 3 of the paper."""
    mapped = [case for case in cases if case.mapped]
    for case in cases:
        if not case.mapped:
            album.left_out.append(
                f"the maps of {case.label}: its environment has no goals that can be drawn."
            )
    if not mapped:
        return
    first = mapped[0]
    radius = first.setup.env.goal_radius
    album.figures["figure1"] = task_map(first.of("goal_train"), first.of("goal_test"), radius)
    others = [case.label for case in mapped if not _same_goals(first, case)]
    if others:
        album.left_out.append(
            f"figure1 of {', '.join(others)}: their goals are not those of {first.label}, which "
            "it shows."
        )
    dirichlet = [case for case in mapped if any(b.family == "dir" for b in case.space.blocks)]
    if dirichlet and len(dirichlet) < len(mapped):
        rest = ", ".join(case.label for case in mapped if case not in dirichlet)
        album.left_out.append(f"figure2 of {rest}: it compares latents with a Dirichlet block.")
    album.figures["figure2"] = prior_panels([_panel(case) for case in dirichlet or mapped], radius)
    best = [case for case in mapped if case.files.latent == BEST]
    if best and len(best) < len(mapped):
        rest = ", ".join(case.label for case in mapped if case not in best)
        album.left_out.append(f"figure3 of {rest}: it shows {BEST}.")
    for case in best or mapped:
        name = "figure3" if len(best) == 1 else f"figure3-{case.file}"
        album.figures[name] = adaptation_paths(
            case.of("path_test")[:, 0, ..., :2],
            case.of("goal_test"),
            case.of("returns_test")[:, 0],
            case.of("oracle_test"),
            case.prior,
            case.setup.env.goal_radius,
            title=case.label,
        )


def _same_goals(one: Case, other: Case) -> bool:
    return all(
        one.of(name).shape == other.of(name).shape and np.allclose(one.of(name), other.of(name))
        for name in ("goal_train", "goal_test")
    )


def _panel(case: Case) -> PriorPanel:
    """The prior episodes of the first repeat of the evaluation, of all test tasks."""
    paths = case.of("path_test")[:, 0, : case.prior, :, :2]
    own = (case.of("returns_test")[..., : case.prior] > 0).any(axis=-1).mean()
    return PriorPanel(
        case.label,
        paths.reshape(-1, *paths.shape[-2:]),
        case.of("goal_test"),
        f"{case.prior} episodes, as in the evaluation, reach {own:.0%}",
    )


def curves(cases: list[Case], album: Album) -> None:
    """Returns of all runs, while training and while adapting."""
    learning, adapting = [], []
    for case in cases:
        updates, returns = evaluations(case.files, "test_return")
        learning.append(Curve(case.label, updates, returns, case.oracle))
        by_episode = case.files.arrays["returns_test"].mean(axis=(1, 2))
        episodes = np.arange(1, by_episode.shape[1] + 1)
        adapting.append(Curve(case.label, episodes, by_episode, case.oracle))
    album.figures["learning_curves"] = learning_curves(learning)
    album.figures["adaptation_curves"] = adaptation_curves(adapting, [c.prior for c in cases])


def beliefs(cases: list[Case], album: Album) -> None:
    """The beliefs of every run that has a variable on a simplex."""
    for case in cases:
        parts = [part for part in effect.variables_of(case.space) if part.family in _SIMPLEX]
        if not parts:
            album.left_out.append(
                f"simplex of {case.label}: it has no Dirichlet or categorical block."
            )
            continue
        belief = case.of("belief_test")[:, 0]
        album.figures[f"simplex-{case.file}"] = simplex(
            [part.name for part in parts],
            [belief[..., part.columns] for part in parts],
            case.of("label_test"),
            title=f"{case.label}: belief about each of {len(belief)} test tasks",
        )


def sweeps(cases: list[Case], album: Album) -> None:
    """What each part of z does to the path, as maps and as numbers."""
    records: dict[str, list[dict[str, Any]]] = {}
    entries = []
    for case in cases:
        if not case.mapped:
            continue  # said with the other maps
        try:
            loaded = [agents.load(case.files.path, seed) for seed in range(case.files.seeds)]
        except FileNotFoundError as error:
            album.left_out.append(f"sweep of {case.label}: {error}")
            continue
        parts = effect.parts_of(case.space)
        roll = effect.roller(loaded[0], case.setup.env)
        shares = [effect.shares(agent, roll, parts) for agent in loaded]
        record = shares_record([part.name for part in parts], shares)
        records[case.label] = record
        entry = {"run": str(case.files.path), "latent": case.files.latent, "seeds": len(loaded)}
        entries.append({**entry, "parts": record})
        alone = {
            part.name: share
            for part, share in zip(parts, shares[case.seed]["position"].first_order, strict=True)
        }
        album.figures[f"sweep-{case.file}"] = sweep(
            [
                one._replace(title=f"{one.title}: {percent(alone[one.title])}")
                for one in effect.sweeps(loaded[case.seed], roll)
            ],
            title=f"{case.label}: one variable is swept, the others rest at the prior's mean\n"
            "percentage: of the variance of where an episode ends, explained by it alone",
        )
    if entries:
        data = {"draws": effect.DRAWS, "measures": effect.MEASURES, "runs": entries}
        text = json.dumps({"schema_version": SWEEP_SCHEMA, **data}, indent=2, allow_nan=False)
        album.texts["sweep.json"] = text + "\n"
        title = (
            "What decides where an episode ends: the share of its variance\n"
            "that a part of z explains alone, and in total with other parts"
        )
        album.tables.append(shares_table(title, "position", records))


DRAWERS = (paper, curves, beliefs, sweeps)
"""Each adds its figures of the cases to an album, and says what does not apply."""
