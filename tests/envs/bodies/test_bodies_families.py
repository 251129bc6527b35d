"""Families of bodies: which tasks they have, what these pay, and how the two sets differ."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("gymnasium")

from bodies import standard

from structlat_jax.config import preset
from structlat_jax.envs import EnvError, make
from structlat_jax.envs.bodies import mixes, mixing
from structlat_jax.train import learn
from structlat_jax.train.setup import make_setup

WIDTHS = {
    "cheetah_dir": (17, 6),
    "cheetah_vel": (17, 6),
    "ant_dir": (27, 8),
    "ant_goal": (29, 8),
    "hopper_body": (11, 3),
    "walker_body": (17, 6),
    "cheetah_vel_mix": (17, 6),
    "cheetah_reward_mix": (17, 6),
    "hopper_body_mix": (11, 3),
    "walker_body_mix": (17, 6),
}
MIXES = {name: 4 - (name == "cheetah_vel_mix") for name in WIDTHS if name.endswith("mix")}


@cache
def env_of(name, **options):
    return make(name, **options)


def drawn(env, n=400, seed=0):
    return jax.jit(env.sample_tasks, static_argnums=1)(jax.random.key(seed), n)


@pytest.mark.parametrize("name", WIDTHS)
def test_widths_and_what_is_known(name):
    env = env_of(name)
    assert (env.obs_dim, env.action_dim, env.horizon) == (*WIDTHS[name], 200)
    assert env.oracle_return is None
    assert env.success is None
    config, updates = preset(None, env)
    assert updates > 0
    assert config.hyper.discount == (0.99 if config.structure.train_tasks == 2 else 0.97)


def one(env, seed=0):
    return jax.tree.map(lambda x: x[0], drawn(env, 2, seed))


def stepped(env, task, scale=0.3):
    """A step from a start, and what is needed to pay it by hand."""
    start = env.reset(jax.random.key(1), task)
    action = scale * jnp.ones(env.action_dim)
    out = env.step(start, action, task)
    seconds = 0.05 if env.obs_dim in (27, 29) or "cheetah" in env.name else 0.008
    velocity = (np.asarray(out.state.qpos) - np.asarray(start.qpos))[:2] / seconds
    return out, velocity, env.action_dim * scale**2


MADE = {
    "cheetah_dir": {"aim": jnp.float32(-1.0)},
    "cheetah_vel": {"aim": jnp.float32(1.3)},
    "ant_dir": {"aim": jnp.float32(2.0)},
    "ant_goal": {"aim": jnp.array([0.7, -1.0])},
    "cheetah_vel_mix": {"mixture": jnp.array([0.2, 0.3, 0.5])},
    "cheetah_reward_mix": {"mixture": jnp.array([0.4, 0.1, 0.3, 0.2])},
}


def test_what_each_pays_by_hand():
    for name, pay in {
        "cheetah_dir": lambda t, v, e, q: t.aim * v[0] - 0.05 * e,
        "cheetah_vel": lambda t, v, e, q: -abs(v[0] - t.aim) - 0.05 * e,
        "ant_dir": lambda t, v, e, q: v[0] * np.cos(t.aim) + v[1] * np.sin(t.aim) + 1 - 0.5 * e,
        "ant_goal": lambda t, v, e, q: -np.abs(q[:2] - t.aim).sum() - 0.1 * e,
        "hopper_body": lambda t, v, e, q: v[0] + 1.0 - 1e-3 * e,
        "walker_body": lambda t, v, e, q: v[0] + 1.0 - 1e-3 * e,
        "cheetah_vel_mix": lambda t, v, e, q: (
            -abs(v[0] - t.mixture @ np.array([0.0, 1.5, 3.0])) - 0.05 * e
        ),
        "cheetah_reward_mix": lambda t, v, e, q: (
            t.mixture @ np.array([v[0], -v[0], 10 * q[1], -e]) - 0.05 * e
        ),
    }.items():
        env = env_of(name)
        task = jax.device_get(standard(env, **MADE.get(name, {})))
        out, velocity, effort = stepped(env, task)
        expected = pay(task, velocity, effort, np.asarray(out.state.qpos))
        assert float(out.reward) == pytest.approx(float(expected), abs=2e-4), name
        assert float(out.train_reward) == float(out.reward)


def test_a_fall_is_an_end_where_the_family_says_so():
    for name, ends in {"hopper_body": True, "walker_body": True, "cheetah_vel": False}.items():
        env = env_of(name)
        task = standard(env)
        start = env.reset(jax.random.key(1), task)
        tilted = start._replace(qpos=start.qpos.at[2].set(1.4))
        assert bool(env.step(tilted, jnp.zeros(env.action_dim), task).done) == ends


def test_distributions_are_those_that_were_published():
    speeds = np.asarray(drawn(env_of("cheetah_vel")).aim)
    assert 0.0 <= speeds.min() < 0.1
    assert 2.9 < speeds.max() <= 3.0
    aims = np.linalg.norm(drawn(env_of("ant_goal")).aim, axis=1)
    assert aims.max() <= 3.0
    assert np.mean(aims < 1.5) == pytest.approx(0.25, abs=0.08)  # uniform in the disc
    logs = drawn(env_of("hopper_body")).numbers
    reach = {"mass": 1.5, "inertia": 1.5, "damping": 1.3, "friction": 1.5}
    for name, base in reach.items():
        most = np.abs(logs[name]).max()
        assert 0.97 * 3 * np.log(base) < most <= 3 * np.log(base) * 1.0001
    angles = np.asarray(drawn(make("ant_dir", directions="all")).aim)
    assert np.ptp(angles) > 6.0


def test_two_directions_are_in_either_set():
    for name, wanted in {"cheetah_dir": {-1.0, 1.0}, "ant_dir": {0.0, np.float32(np.pi)}}.items():
        for seed in range(4):
            for some in env_of(name).split(jax.random.key(seed), 2, 2):
                assert set(np.asarray(some.aim).tolist()) == {float(x) for x in wanted}


@pytest.mark.parametrize("name", MIXES)
def test_a_compositional_split_tests_on_what_training_has_not(name):
    env = env_of(name, split="compositional")
    train, test = jax.jit(env.split, static_argnums=(1, 2))(jax.random.key(0), 60, 40)
    train, test = np.asarray(train.mixture), np.asarray(test.mixture)
    assert train.shape == (60, MIXES[name])
    assert test.shape == (40, MIXES[name])
    np.testing.assert_allclose(np.concatenate([train, test]).sum(axis=1), 1.0, rtol=1e-5)
    assert set((train > 0).sum(axis=1)) <= {1, 2}
    assert len(set((train > 0.02).sum(axis=1))) == 2
    used = test > 0
    assert used.sum(axis=1).min() >= 3
    assert test[used].min() >= 0.1 - 1e-6
    assert (train > 0).any(axis=0).all()
    assert env_of(name).split is None


def test_a_mixture_of_bodies_is_built_from_the_mixture_of_its_numbers():
    env = env_of("walker_body_mix")
    task = one(env, 4)
    logs = np.log(np.array(mixes.BODIES))
    np.testing.assert_allclose(task.numbers["length"], (task.mixture @ logs)[:4], atol=1e-5)
    np.testing.assert_allclose(task.numbers["strength"], (task.mixture @ logs)[6:], atol=1e-5)
    assert set(env.factors(task)) == {"mixture", "payload"}
    height = (0.1 + np.array([0.2, 0.45, 0.5]) @ np.exp((task.mixture @ logs)[:3])) / 1.25
    start = env.reset(jax.random.key(0), task)
    assert float(start.qpos[1]) == pytest.approx(1.25 * height, abs=6e-3)


def test_styles_are_normal_and_those_asked_for():
    env = make("cheetah_vel_mix", payload=0.2, friction=0.1, gear=0.0)
    found = drawn(env).numbers
    assert set(found) == {"payload", "grip"}
    assert np.std(found["payload"]) == pytest.approx(0.2, rel=0.15)
    assert set(env.factors(one(env))) == {"mixture", "payload", "friction"}
    assert set(mixing.STYLES) == {"payload", "friction", "gear"}


WRONG = {
    "cheetah_vel": [
        ({"fastest": "x"}, "fastest must be a finite number, not 'x'."),
        ({"slowest": 3.0}, "slowest must be below fastest (3.0), not 3.0."),
        ({"horizon": 0}, "horizon must be a whole number of at least 1, not 0."),
    ],
    "ant_dir": [({"directions": "three"}, "directions must be one of two, all, not 'three'.")],
    "walker_body": [({"spread": 4}, "spread must be at most 3, not 4.")],
    "cheetah_vel_mix": [
        ({"speeds": 2.0}, "speeds must be two or more finite numbers, not (2.0,)."),
        ({"split": "mine"}, "split must be one of alike, compositional, not 'mine'."),
        (
            {"speeds": (0.0, 1.0), "split": "compositional"},
            "split must be alike where there are two bases: none is left to test on.",
        ),
        ({"gear": -1.0}, "gear must be at least 0 and finite, not -1.0."),
        (
            {"payload": 2.0},
            "payload must be at most 1, not 2.0: it is the spread of a logarithm, and a body of "
            "several times the standard one's numbers does not stand.",
        ),
    ],
    "hopper_body_mix": [
        ({"bodies": 3}, "bodies must be two or more, seven factors each, not 3."),
        (
            {"bodies": ((1.0,) * 7, (-1.0,) * 7)},
            "body 2 must be seven factors from 0.2 to 5 (torso, thigh, leg, foot, density, "
            "damping, strength), not (-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0).",
        ),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_a_sentence(name):
    for options, sentence in WRONG[name]:
        with pytest.raises(EnvError) as error:
            make(name, **options)
        assert str(error.value) == f"the environment {name} cannot be made: {sentence}"


SMALL = {
    "width": 4,
    "depth": 1,
    "encoder_width": 4,
    "encoder_depth": 1,
    "train_tasks": 3,
    "test_tasks": 2,
    "meta_batch": 2,
    "batch_size": 4,
    "updates_per_step": 2,
    "replay_steps": 10,
    "prior_episodes": 1,
}


@pytest.mark.slow
def test_a_meta_step_learns_on_bodies():
    """Callbacks within scans, within maps over tasks and episodes; and its keys are used once."""
    env = make("cheetah_dir", horizon=3)
    config = preset(None, env)[0].replace(**{**SMALL, "posterior_episodes": 1})
    setup = make_setup(config, env)
    with jax.debug_key_reuse(True):
        state = learn.init(setup, jax.random.key(0))
        step = jax.jit(lambda x: learn.meta_step(setup, config.hyper, x))
        state, metrics = step(state)
    assert set(np.asarray(state.train_tasks.aim).tolist()) == {-1.0, 1.0}
    assert set(np.asarray(state.test_tasks.aim).tolist()) == {-1.0, 1.0}
    assert int(metrics["not_finite_at"]) == 0
    assert np.isfinite(state.replay.rows).all()
    assert np.any(np.asarray(state.replay.rows) != 0)


def test_a_sketch_is_of_the_pose_that_is_seen():
    """A cheetah at rest, from the side: its trunk lies level, a metre long, where it should be."""
    env = env_of("cheetah_vel")
    lines = env.sketch(np.zeros((3, 17)))
    assert lines.shape == (3, 8, 2, 2)
    np.testing.assert_allclose(lines[0, 0], [[0.5, 0.7], [-0.5, 0.7]], atol=1e-6)
    ahead = np.zeros((3, 17))
    ahead[:, 8] = 2.0
    np.testing.assert_allclose(
        env.sketch(ahead)[:, 0, 0, 0], [0.5, 0.6, 0.7], atol=1e-6
    )  # two metres per second
    seen = np.zeros((2, 29))
    seen[:, :4] = [1.0, 2.0, 0.5, 1.0]
    ball = env_of("ant_goal").sketch(seen)[1, 0]
    np.testing.assert_allclose(ball.mean(axis=0), [1 + 0.5 * 2, 0.5 + 0.3 * 2], atol=1e-6)
