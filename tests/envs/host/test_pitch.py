"""Football without the game: mixtures of scenarios, what circles pay, and which tasks there are."""

import importlib.util
import types

import jax
import numpy as np
import pytest

from structlat_jax.envs import EnvError, football
from structlat_jax.envs.host import pitch
from structlat_jax.envs.host.pitch import Pitch, Player, Scenario


def player(x, y, role="forward", lazy=False):
    return Player(np.array([x, y]), role, lazy)


ALONE = Scenario(
    np.array([0.7, 0.0]), ((player(-1, 0, "keeper"), player(0.6, 0.0)), (player(1, 0),)), True
)
PAIR = Scenario(
    np.array([0.1, 0.2]),
    (
        (player(-1, 0, "keeper"), player(0.0, 0.2, "back"), player(0.2, -0.2)),
        (player(-1, 0, "keeper"), player(-0.5, 0.1, "back", lazy=True)),
    ),
    False,
)
NOTHING = (0.0, 0.0)


def places(team):
    return np.array([one.place for one in team])


def mixed(weights, shift=NOTHING):
    return pitch.mix((ALONE, PAIR), np.array(weights), np.array(shift))


@pytest.mark.parametrize(("weights", "one"), [([1.0, 0.0], ALONE), ([0.0, 1.0], PAIR)])
def test_a_corner_is_the_scenario_itself(weights, one):
    """And players that it does not have are out of the way."""
    found = mixed(weights)
    np.testing.assert_allclose(found.ball, one.ball)
    assert found.ends == one.ends
    for team, own in zip(found.teams, one.teams, strict=True):
        np.testing.assert_allclose(places(team)[: len(own)], places(own))
        assert [x[1:] for x in team[: len(own)]] == [x[1:] for x in own]
    assert tuple(mixed([1.0, 0.0]).teams[0][2].place) == (-1.0, 0.42)
    assert tuple(mixed([1.0, 0.0]).teams[1][1].place) == (1.0, 0.42)


def test_between_them_places_are_means_and_the_rest_goes_by_most_of_the_weight():
    found, other = mixed([0.25, 0.75]), mixed([0.75, 0.25])
    np.testing.assert_allclose(found.ball, [0.25, 0.15])
    np.testing.assert_allclose(places(found.teams[0])[1:], [[0.15, 0.15], [-0.1, -0.045]])
    np.testing.assert_allclose(places(found.teams[1])[0], [-0.5, 0.0])
    assert (found.teams[0][1].role, other.teams[0][1].role) == ("back", "forward")
    assert other.teams[1][1].lazy  # only one scenario has this player
    assert (found.ends, other.ends) == (False, True)


def test_a_shift_moves_the_ball_and_all_but_the_keepers_within_the_pitch():
    straight, found = mixed([0.0, 1.0]), mixed([0.0, 1.0], [0.05, 0.3])
    np.testing.assert_allclose(found.ball, [0.15, 0.42])
    for number, sign in enumerate((1, -1)):
        one, other = (places(x.teams[number]) for x in (straight, found))
        np.testing.assert_allclose(other[0], one[0])
        expected = np.clip(one[1:] + sign * np.array([0.05, 0.3]), (-1, -0.42), (1, 0.42))
        np.testing.assert_allclose(other[1:], expected)


def seen(x, team=0, owner=3):
    return {
        "ball": np.array([x, 0.0, 0.1]),
        "ball_owned_team": team,
        "ball_owned_player": owner,
        "left_agent_controlled_player": [3],
    }


def test_each_circle_pays_once_and_a_goal_what_is_left():
    """Circles of 0.99, 0.901, ... and 0.19 about the goal's middle; five reach as far as 0.5."""
    game = Pitch.__new__(Pitch)
    game._left = 10
    steps = [seen(0.0), seen(0.02), seen(0.02), seen(0.5, owner=2), seen(0.5, team=1), seen(0.5)]
    paid = [game._checkpoints(one, 0.0) for one in steps]
    np.testing.assert_allclose(paid, [0, 0.1, 0, 0, 0, 0.5])
    assert game._checkpoints(seen(0.99, team=-1), 1.0) == pytest.approx(0.4)
    assert game._left == 0
    assert pitch.shaped(1.0, {"checkpoints": 0.4}) == pytest.approx(1.4)


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types.SimpleNamespace())


def test_without_the_game_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvError) as caught:
        football.make()
    assert str(caught.value) == (
        "Google Research Football is not installed: tools/install_football.sh builds it."
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenarios": "penalty"}, "scenarios must be some of academy_empty_goal_close, "),
        ({"scenarios": ()}, "not none"),
        ({"scenarios": "corner,academy_corner"}, "scenarios must each be there once"),
        ({"tasks": "all"}, "tasks must be one of dirichlet, kinds, not 'all'"),
        ({"shift": -1.0}, "shift must be at least 0"),
        ({"concentration": 0}, "concentration must be above 0"),
        ({"checkpoints": 1}, "checkpoints must be true or false, not 1"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1"),
    ],
)
def test_options_that_are_not_allowed(options, words, installed):
    with pytest.raises(ValueError, match=words):
        football.make(**options)


def tasks_of(**options):
    env = football.make(**options)
    return env, jax.device_get(env.sample_tasks(jax.random.key(0), 9))


def test_one_scenario_is_one_task(installed):
    env, tasks = tasks_of()
    assert (env.name, env.factors, env.discrete) == ("football empty_goal_close", None, True)
    np.testing.assert_array_equal(tasks["weights"], 1.0)
    np.testing.assert_array_equal(tasks["shift"], 0.0)


def test_several_are_mixtures_or_kinds_in_turn(installed):
    names = "run_to_score, empty_goal,academy_empty_goal_close"
    env, tasks = tasks_of(scenarios=names, shift=0.1)
    np.testing.assert_allclose(tasks["weights"].sum(axis=1), 1.0, rtol=1e-5)
    assert len(np.unique(tasks["weights"], axis=0)) == 9
    assert 0.02 < tasks["shift"].std() < 0.2
    one = jax.tree.map(lambda x: x[0], tasks)
    np.testing.assert_array_equal(env.factors(one)["mixture"], one["weights"])
    np.testing.assert_array_equal(env.factors(one)["shift"], one["shift"])
    _, kinds = tasks_of(scenarios=tuple(names.split(",")), tasks="kinds")
    np.testing.assert_array_equal(kinds["weights"], np.tile(np.eye(3), (3, 1)))


def test_only_checkpoints_shape_what_training_is_paid(installed):
    assert football.make().train_reward is pitch.shaped
    assert football.make(checkpoints=False).train_reward is None


def test_exploring_runs_turns_kicks_and_sprints():
    """Over many episodes: half of the headings to the goal, a kick in 8 % of the steps."""
    keys = jax.random.split(jax.random.key(0), 400)
    found = jax.jit(jax.vmap(lambda key: football.explore(key, 40)))(keys)
    np.testing.assert_array_equal(found.sum(axis=-1), 1.0)
    actions = np.asarray(found.argmax(axis=-1))
    assert np.mean(actions[:, 0] == pitch.SPRINT) == pytest.approx(0.5, abs=0.1)
    later = actions[:, 1:]
    kicks = np.isin(later, pitch.KICKS)
    assert kicks.mean() == pytest.approx(0.08, abs=0.01)
    assert np.mean(later[kicks] == pitch.SHOT) == pytest.approx(0.5, abs=0.06)
    running = np.isin(later, pitch.HEADINGS)
    assert np.all(kicks | running)
    assert np.mean(later[running] == pitch.RIGHT) == pytest.approx(0.5, abs=0.08)
    both = running[:, 1:] & running[:, :-1]
    same = (later[:, 1:] == later[:, :-1])[both]
    turned = 1 - (0.25 + 7 * (0.5 / 7) ** 2)  # a turn that draws another heading
    assert same.mean() == pytest.approx(1 - 0.05 * turned, abs=0.01)


def test_straight_is_offered_where_it_scores(installed):
    assert football.make().controller is pitch.straight
    assert football.make(scenarios="run_to_score,corner").controller is None
    obs, act = np.zeros(115), pitch.straight(None, None)
    found = [act(obs)]
    for x, y in ((0.0, 0.0), (0.0, 0.1), (0.0, -0.1), (0.9, 0.3)):
        obs[88:90] = x, y
        found.append(act(obs))
    assert found == [pitch.SPRINT, pitch.RIGHT, pitch.RIGHT - 1, pitch.RIGHT + 1, pitch.SHOT]
