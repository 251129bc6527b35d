"""Football itself: games follow from seeds, tasks and actions. Skipped where it is not installed,
which takes minutes (tools/install_football.sh)."""

import importlib.util

import numpy as np
import pytest

from structlat_jax import envs
from structlat_jax.envs import football
from structlat_jax.envs.host import pitch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("gfootball") is None,
        reason="Google Research Football is not installed (tools/install_football.sh)",
    ),
]

STRAIGHT = ("academy_empty_goal_close", "academy_run_to_score", "academy_3_vs_1_with_keeper")


@pytest.fixture(scope="module")
def game():
    """Three scenarios in one."""
    return pitch.make(STRAIGHT, 101)()


def play(game, weights, seed, shift=(0.0, 0.0)):
    """Observations and infos of who runs to the goal and shoots."""
    game.set_task(np.array(weights), np.array(shift))
    obs, info = game.reset(seed=seed)
    shown, infos, done = [obs], [info], False
    while not done and len(shown) <= 100:
        obs, _, done, _, info = game.step(pitch.RIGHT if obs[88] < 0.85 else pitch.SHOT)
        shown.append(obs)
        infos.append(info)
    return np.array(shown), infos


def test_who_runs_straight_scores_in_an_empty_goal(game):
    shown, infos = play(game, [1, 0, 0], 3)
    assert infos[-1]["goal"] == 1.0
    assert sum(one["checkpoints"] for one in infos[1:]) == pytest.approx(1.0)
    assert len(shown) < 40


def test_a_game_follows_from_its_seed_whatever_was_played_before(game):
    first, _ = play(game, [0, 1, 0], 3)
    play(game, [1, 0, 0], 4)
    again, _ = play(game, [0, 1, 0], 3)
    np.testing.assert_array_equal(first, again)
    other, _ = play(game, [0, 1, 0], 4)
    assert first.shape != other.shape or np.any(first != other)


def test_another_object_plays_the_same_game():
    ours, its = (play(pitch.make(STRAIGHT[:1], 101)(), [1], 5)[0] for _ in range(2))
    np.testing.assert_array_equal(ours, its)


def test_the_ball_starts_where_the_mixture_says(game):
    starts = np.array([0.77, 0.02, 0.62])
    for weights in (np.eye(3)[1], np.array([0.5, 0.25, 0.25])):
        shown, _ = play(game, weights, 3, (0.02, 0.1))
        np.testing.assert_allclose(shown[0, 88], weights @ starts + 0.02, atol=0.02)
        np.testing.assert_allclose(shown[0, 89], 0.1, atol=0.03)


@pytest.mark.parametrize("name", football.SCENARIOS)
def test_every_scenario_of_the_academy_starts(name):
    one = pitch.make((name,), 101)()
    obs, _ = one.reset(seed=1)
    assert obs.shape == (pitch.OBS,)
    moved, reward, done, truncated, info = one.step(0)
    assert np.isfinite(moved).all()
    assert (reward, done, truncated, info["goal"]) == (0.0, False, False, 0.0)


def test_the_door_lets_it_in():
    """One step in a worker, after all that `HostEnv` asks for."""
    env = envs.make("football", scenarios="empty_goal_close,corner", horizon=20)
    assert (env.obs_dim, env.action_dim, env.horizon) == (115, 19, 20)
