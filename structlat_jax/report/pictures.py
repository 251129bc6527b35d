"""Which figures of finished runs there are, and what each one shows of which run."""

import json
from collections.abc import Sequence
from typing import Any

from structlat_jax.agent import Agent
from structlat_jax.report import curves, effect
from structlat_jax.report.album import Album
from structlat_jax.report.case import Case, by_environment
from structlat_jax.report.figures_compare import adaptation_curves, learning_curves
from structlat_jax.report.figures_simplex import simplex
from structlat_jax.report.parts import parts_of, variables_of
from structlat_jax.report.plane import pictures as plane_pictures
from structlat_jax.report.plane import traverse
from structlat_jax.report.shares_table import shares_record, shares_table
from structlat_jax.store.run_folder import reason

SWEEP_SCHEMA = 1
END = {"end": "the last observation of an episode, each number in units of its spread"}
_TITLE = (
    "What decides {}: the share of its variance\n"
    "that a part of z explains alone, and in total with other parts"
)
_ASKED = {"position": "where an episode ends", "end": "how an episode ends (its last observation)"}


def draw(
    cases: Sequence[Case],
    album: Album,
    choose: plane_pictures.Choose = plane_pictures.choose_all,
) -> None:
    """Every figure that applies to some case; what does not is said in ``album.left_out``.

    Args:
      cases: At least one.
      album: Takes the figures, texts and tables.
      choose: Which cases the maps of several agents show; see `plane.pictures.maps`.
    """
    plane_pictures.maps(cases, album, choose)
    returns(cases, album, choose)
    beliefs(cases, album)
    effects(cases, album)


def returns(
    cases: Sequence[Case],
    album: Album,
    choose: plane_pictures.Choose = plane_pictures.choose_all,
) -> None:
    """Returns of all runs, while training and while adapting, a picture per environment."""
    for title, suffix, group in by_environment(cases):
        learning = [curves.learning(case.label, case.files) for case in group]
        adapting = [curves.adapting(case.label, case.files) for case in group]
        choice = choose(group[0].files)
        if choice is not None:
            known = [choice.reported(case.files) for case in group]
            pairs = zip(adapting, known, strict=True)
            adapting = [curve._replace(reported=value) for curve, value in pairs]
        prior = [case.prior for case in group]
        album.add(f"learning_curves{suffix}", learning_curves, learning, title)
        album.add(f"adaptation_curves{suffix}", adaptation_curves, adapting, prior, title)


def beliefs(cases: Sequence[Case], album: Album) -> None:
    """The beliefs of every run that has a variable on a simplex."""
    for case in cases:
        parts = [part for part in variables_of(case.space) if part.simplex]
        if not parts:
            album.left_out.append(
                f"simplex of {case.label}: no variable of its latent is a mixture of classes."
            )
            continue
        belief = case.of(case.files.arrays["belief_test"])[:, 0]
        names, each = zip(*((p.name, belief[..., p.columns]) for p in parts), strict=True)
        label, label_name = case.of(case.files.label()), case.files.label_name
        title = f"{case.label}: belief about each of {len(belief)} test tasks"
        album.add(f"simplex-{case.file}", simplex, names, each, label, label_name, title)


def effects(cases: Sequence[Case], album: Album) -> None:
    """What each part of z does to an episode, as numbers and, where paths are drawn, as maps."""
    records: dict[str, dict[str, list[dict[str, Any]]]] = {}
    entries = []
    for case in cases:
        agents = _agents(case, album)
        found = _effect(case, agents, album) if agents else None
        if found is None:
            continue
        measure, record = found
        records.setdefault(measure, {})[case.label] = record
        about = {"run": str(case.files.path), "latent": case.files.latent, "seeds": len(agents)}
        entries.append({**about, "draws": effect.draws_for(case.env), "parts": record})
    if not entries:
        return
    known = {**(traverse.MEASURES if "position" in records else {})}
    known |= END if "end" in records else {}
    data = {"draws": effect.DRAWS, "measures": known, "runs": entries}
    text = json.dumps({"schema_version": SWEEP_SCHEMA, **data}, indent=2, allow_nan=False)
    album.texts["traversal.json"] = text + "\n"
    for measure, runs in records.items():
        album.tables.append(shares_table(_TITLE.format(_ASKED[measure]), measure, runs))


def _agents(case: Case, album: Album) -> list[Agent]:
    """The agents of all seeds, if there is what it takes."""
    if case.env is None:
        album.left_out.append(f"traversal of {case.label}: its environment is not at hand.")
        return []
    if not case.files.config.structure.acts_on_z:
        album.left_out.append(f"traversal of {case.label}: its agents do not act on a z.")
        return []
    try:
        return [case.load(seed) for seed in range(case.files.seeds)]
    except FileNotFoundError as error:
        album.left_out.append(f"traversal of {case.label}: {error}")
        return []


def _effect(
    case: Case, agents: Sequence[Agent], album: Album
) -> tuple[str, list[dict[str, Any]]] | None:
    """The main measure of a case and its record, and the map of its traversal, if it is drawn."""
    parts, draws = parts_of(case.space), effect.draws_for(case.env)
    names = [part.name for part in parts]
    try:
        roll = effect.roller(agents[0], case.env)
        found = [effect.shares(a, roll, parts, _measures(case, a, roll), draws) for a in agents]
    except Exception as error:  # whatever a stranger's environment leads to
        album.left_out.append(f"traversal of {case.label}: it cannot be made ({reason(error)}).")
        return None
    measure = next(iter(found[0]))
    if case.plane is None:
        album.left_out.append(
            f"the traversal map of {case.label}: its environment has no plane to draw paths in."
        )
    else:
        alone = dict(zip(names, found[case.seed][measure].first_order, strict=True))
        plane_pictures.sweep_map(case, agents[case.seed], roll, alone, album)
    return measure, shares_record(names, found)


def _measures(case: Case, agent: Agent, roll: effect.Roll) -> dict[str, effect.Measure]:
    """What is shared out, the main measure first."""
    if case.plane is not None:
        return dict(traverse.measures(case.plane))
    return {"end": effect.last_observation(agent, roll, effect.draws_for(case.env))}
