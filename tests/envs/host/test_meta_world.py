"""Meta-World's arm: tasks that are numbers, and episodes that depend on nothing else."""

import jax
import numpy as np
import pytest

from structlat_jax.envs import EnvError, make
from structlat_jax.envs.host import pools, sawyer
from structlat_jax.envs.host.runner import Jobs

meta_world = pytest.importorskip("metaworld", reason="Meta-World is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Constant"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def few():
    with pools.workers(1):
        yield
    pools.close()


def ahead(env, steps=30):
    """Rewards of some steps in one direction, and the observations behind each of them."""
    seen, paid = [env.reset()[0]], []
    action = np.array([0.3, 0.5, -0.2, 1.0], np.float32)
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(action)
        seen.append(obs)
        paid.append(reward)
        assert not terminated
        assert not truncated
        assert set(info) >= {"success"}
    return np.stack(seen), np.array(paid)


@pytest.mark.parametrize("kind", ["reach-v3", "push-v3", "drawer-open-v3"])
def test_an_episode_is_that_of_the_package(kind):
    """Whatever was done before, and the goal is not among what is observed."""
    own = sawyer.Sawyer((kind,), "v2")
    low, high = own.space(0)
    places = low + np.linspace(0.2, 0.9, len(low)) * (high - low)
    own.set_places(0, high)
    ahead(own)
    own.set_places(0, places)
    obs, rewards = ahead(own)
    theirs = meta_world.env_dict.ALL_V3_ENVIRONMENTS[kind]()
    theirs._set_task_called, theirs._last_rand_vec = True, places
    expected, paid = ahead(theirs)
    np.testing.assert_array_equal(obs, expected)
    np.testing.assert_array_equal(rewards, paid)
    np.testing.assert_array_equal(obs[:, -3:], 0.0)


def test_places_that_the_package_refuses_are_drawn_again_in_the_same_way():
    """It would wait for ever for others."""
    near = np.array([0.0, 0.7, 0.02, 0.0, 0.8, 0.02])
    found = []
    for _ in range(2):
        own = sawyer.Sawyer(("push-v3",), "v2")
        own.set_places(0, near)
        found.append(ahead(own, 2)[0])
        assert np.linalg.norm(own.now._target_pos[:2] - own.now.obj_init_pos[:2]) >= 0.15
    np.testing.assert_array_equal(*found)


def test_goals_that_are_mixtures():
    env = make("ml1", task="push-v3", goals="dirichlet", anchors=4)
    tasks = env.sample_tasks(jax.random.key(0), 50)
    weights = np.asarray(tasks["weights"])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    goals = np.asarray(tasks["places"])[:, -3:]
    anchors = np.linalg.lstsq(weights, goals, rcond=None)[0]
    np.testing.assert_allclose(weights @ anchors, goals, atol=1e-5)
    low, high = sawyer.Sawyer(("push-v3",), "v2").space(0)
    assert (anchors >= low[-3:] - 1e-4).all()
    assert (anchors <= high[-3:] + 1e-4).all()
    assert len(np.unique(np.asarray(tasks["places"])[:, :3], axis=0)) == 1
    assert env.name == "ml1 push-v3, 4 anchors (reward v2)"


def test_goals_of_the_benchmark_are_far_enough():
    env = make("ml1", task="box-close-v3")
    places = np.asarray(env.sample_tasks(jax.random.key(0), 100)["places"])
    assert (np.linalg.norm(places[:, :2] - places[:, 3:5], axis=1) >= 0.25).all()
    assert env.factors({"places": places[0]}).keys() == {"goal"}


@pytest.mark.parametrize("task", ["reach-v3", "push-v3", "drawer-open-v3"])
def test_the_scripted_policies_succeed_on_mixtures(task):
    env = make("ml1", task=task, goals="dirichlet")
    tasks = jax.device_get(env.sample_tasks(jax.random.key(1), 2))
    leaves = tuple(jax.tree.leaves(tasks))
    jobs = Jobs("control", np.zeros(2, int), leaves, np.zeros(2, np.uint32), np.zeros((2, 0)))
    seen = pools.of(env).run((), jobs)
    np.testing.assert_array_equal(seen.success, 1.0)
    assert (seen.reward.sum(axis=1) > 1_000).all()


def test_several_kinds():
    env = make("ml10", horizon=5)
    tasks = env.sample_tasks(jax.random.key(0), 20)
    tested = env.sample_test_tasks(jax.random.key(0), 10)
    assert sorted(np.asarray(tasks["kind"])) == sorted([*range(10)] * 2)
    assert sorted(np.asarray(tested["kind"])) == sorted([*range(10, 15)] * 2)
    one = jax.tree.map(lambda x: x[0], tested)
    np.testing.assert_array_equal(env.factors(one)["mixture"], np.eye(15)[10])


WRONG = {
    "task": ({"task": "fly-v3"}, "task must be one of assembly-v3, "),
    "goals": ({"goals": "far"}, "goals must be one of uniform, dirichlet, not 'far'."),
    "horizon": ({"horizon": 501}, "horizon must be at most 500, not 501."),
    "reward": ({"reward": "v3"}, "reward must be one of v1, v2, not 'v3'."),
    "anchors": ({"goals": "dirichlet", "anchors": 1}, "anchors must be a whole number of at"),
}


@pytest.mark.parametrize(("options", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_sentence(options, words):
    with pytest.raises(EnvError) as caught:
        make("ml1", **options)
    assert str(caught.value).startswith(f"the environment ml1 cannot be made: {words}")
