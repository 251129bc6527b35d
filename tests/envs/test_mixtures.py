"""Families whose tasks are mixtures: what a task is, what it pays, and that oracles are bounds."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.config import preset
from structlat_jax.envs import drive_mix, make, point_mix, speed_mix
from structlat_jax.envs.base import readable

STYLES = {"drift": 0.025, "gain": 0.3, "rotation": 0.7}
POINTS = {
    "triangle": point_mix.triangle(),
    "tetrahedron": point_mix.tetrahedron(),
    "a line": point_mix.make(anchors=2, dimensions=1),
    "six in space": point_mix.make(anchors=6, dimensions=3, radius=0.3),
    "drift": point_mix.make(drift=0.025),
    "gain": point_mix.make(gain=0.3),
    "rotation": point_mix.make(rotation=0.7),
    "all styles in space": point_mix.make(anchors=4, dimensions=3, **STYLES),
}
FAMILIES = {**POINTS, "speed": speed_mix.make(), "drive": drive_mix.make()}
COUNT = 2000
FEW = 64


@cache
def tasks_of(name):
    """Tasks ``[COUNT]`` of a family, whose first ones serve where a few are enough: a sampler of a
    Dirichlet takes long to compile."""
    return jax.jit(FAMILIES[name].sample_tasks, static_argnums=1)(jax.random.key(3), COUNT)


@cache
def oracle_of(name):
    return np.asarray(jax.jit(jax.vmap(FAMILIES[name].oracle_return))(tasks_of(name)))


@cache
def factors_of(name):
    return jax.device_get(jax.jit(jax.vmap(FAMILIES[name].factors))(tasks_of(name)))


def play(env, task, act):
    """Return of a controller ``(state, step)`` to an action."""

    def advance(state, at):
        out = env.step(state, act(state, at), task)
        return out.state, out.reward

    start = env.reset(jax.random.key(0), task)
    return jnp.sum(jax.lax.scan(advance, start, jnp.arange(env.horizon))[1])


def best_point(env):
    """Full speed to the goal in the action's frame, against the drift; then rest."""

    def act_on(task):
        def turn(x, angle):
            if x.shape[0] < 2:
                return x
            cos, sin = jnp.cos(angle), jnp.sin(angle)
            flat = jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])
            return jnp.concatenate([flat, x[2:]])

        def act(position, _):
            ahead = turn(task.goal - position - task.drift, -task.rotation)
            return jnp.clip(ahead / (0.1 * jnp.exp(task.gain)), -1.0, 1.0)

        return act

    return lambda task: play(env, task, act_on(task))


def best_speed(env):
    bases = np.array([[math.cos(x), math.sin(x)] for x in np.arange(3) * 2 * math.pi / 3])

    def run(task):
        def act(velocity, _):
            wanted = task.weights @ bases - 0.9 * velocity - task.push
            return jnp.clip(wanted / 0.2, -1.0, 1.0)

        return play(env, task, act)

    return run


def best_drive(env):
    def run(task):
        east_north, rest = task.weights[:2], task.weights[2]

        def act(_, at):
            later = (1.0 - 0.7 ** (env.horizon - at)) / 0.3
            slope = later * east_north * 0.3 * jnp.exp(task.gain)
            return jnp.clip(slope / (2.0 * (0.1 + rest)), -1.0, 1.0)

        return play(env, task, act)

    return run


BEST = {**dict.fromkeys(POINTS, best_point), "speed": best_speed, "drive": best_drive}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_oracle_is_what_the_best_controller_returns(name):
    tasks, oracle = tasks_of(name), oracle_of(name)
    played = jax.jit(jax.vmap(BEST[name](FAMILIES[name])))(tasks)
    held = can_rest(tasks)
    assert np.mean(held) > 0.95
    np.testing.assert_allclose(played[held], oracle[held], rtol=1e-3, atol=1e-2)
    assert np.all(played <= oracle + 1e-3)


def can_rest(tasks):
    """Whether the actuator is stronger than the drift, in which the oracle is not only a bound."""
    if not isinstance(tasks, point_mix.MixTask):
        return np.full(COUNT, True)
    return np.linalg.norm(tasks.drift, axis=-1) <= 0.1 * np.exp(tasks.gain)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_other_controller_returns_more(name):
    env, tasks = FAMILIES[name], jax.tree.map(lambda x: x[:FEW], tasks_of(name))
    shape = (FEW, env.horizon, env.action_dim)
    held = np.random.default_rng(1).uniform(-1.5, 1.5, shape).astype(np.float32)

    @jax.jit
    @jax.vmap
    def tries(task, sigma):
        return jax.vmap(lambda own: play(env, task, lambda _, at: sigma * own[at]))(held)

    for sigma in (0.1, 1.0, 10.0):
        found = tries(tasks, jnp.full(FEW, sigma))
        assert np.all(found <= oracle_of(name)[:FEW, None] + 1e-4)


def test_a_drift_stronger_than_the_actuator_leaves_a_bound():
    env, drawn = point_mix.make(drift=0.3), tasks_of("drift")
    tasks = drawn._replace(drift=drawn.drift * (0.3 / 0.025))
    oracle, played = (jax.jit(jax.vmap(f))(tasks) for f in (env.oracle_return, best_point(env)))
    assert np.all(played <= oracle + 1e-4)
    assert np.any(played < oracle - 0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_mixture_is_on_the_simplex(name):
    mixture = factors_of(name)["mixture"]
    np.testing.assert_allclose(mixture.sum(axis=1), 1.0, atol=1e-5)
    classes = mixture.shape[1]
    np.testing.assert_allclose(mixture.mean(axis=0), 1.0 / classes, atol=0.1)
    # Of a Dirichlet with concentration c the variance of a weight is (K - 1) / K^2 / (K c + 1).
    expected = (classes - 1) / classes**2 / (0.2 * classes + 1)
    np.testing.assert_allclose(mixture.var(axis=0), expected, rtol=0.25)
    first = jax.tree.map(lambda x: x[0], tasks_of(name))
    assert FAMILIES[name].label(first) == mixture[0, 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("triangle", {}),
        ("drift", {"drift": (2, 0.025)}),
        ("gain", {"gain": (1, 0.3)}),
        ("rotation", {"rotation": (1, 0.7)}),
        ("all styles in space", {"drift": (3, 0.025), "gain": (1, 0.3), "rotation": (1, 0.7)}),
        ("speed", {"push": (2, 0.05)}),
        ("drive", {"gain": (2, 0.3)}),
    ],
)
def test_styles_are_normal_and_those_that_vary(name, expected):
    found = factors_of(name)
    assert set(found) == {"mixture", *expected}
    for style, (width, scale) in expected.items():
        assert found[style].shape == (COUNT, width)
        np.testing.assert_allclose(np.std(found[style]), scale, rtol=0.1)
        np.testing.assert_allclose(np.mean(found[style], axis=0), 0.0, atol=0.1 * scale)


def test_motion_is_where_an_action_leads():
    env, tasks = FAMILIES["all styles in space"], tasks_of("all styles in space")
    task = jax.tree.map(lambda x: x[3], tasks)
    out = env.step(jnp.zeros(3), jnp.array([1.0, 0.0, 0.0]), task)
    expected = (out.obs - task.drift)[:2] / 0.1
    np.testing.assert_allclose(env.derived(task)["motion"], expected, rtol=1e-4, atol=1e-6)
    assert list(readable(env, task)) == ["mixture", *STYLES, "motion"]
    assert FAMILIES["gain"].derived is None


def test_what_a_line_reads_of_the_exact_motion():
    """No more of a rotation and a gain, and so no more of a latent that says the motion."""
    env = point_mix.make(rotation=0.7, gain=0.3)
    tasks = env.sample_tasks(jax.random.key(0), 20_000)
    motion = np.asarray(jax.vmap(env.derived)(tasks)["motion"])
    design = np.column_stack([motion, np.ones(len(motion))])
    for truth, share in ((tasks.rotation, 0.87), (tasks.gain, 0.40)):
        _, (missed,), *_ = np.linalg.lstsq(design, np.asarray(truth), rcond=None)
        assert 1 - missed / (len(motion) * np.var(truth)) == pytest.approx(share, abs=0.02)


def test_what_a_step_does_by_hand():
    env = point_mix.make(anchors=3, dimensions=2, **STYLES)
    task = point_mix.MixTask(
        weights=jnp.array([1.0, 0.0, 0.0]),
        goal=jnp.array([1.0, 0.0]),
        drift=jnp.array([0.01, -0.02]),
        gain=jnp.log(2.0),
        rotation=jnp.array(math.pi / 2),
    )
    out = env.step(jnp.array([0.95, 0.1]), jnp.array([3.0, 0.5]), task)
    # Clipped to (1, 0.5), twice 0.1 metres, turned by a right angle: (-0.1, 0.2).
    np.testing.assert_allclose(out.obs, [0.86, 0.28], atol=1e-6)
    distance = math.hypot(0.14, 0.28)
    np.testing.assert_allclose(out.train_reward, -distance, atol=1e-6)
    assert out.reward == 0.0
    near = env.step(jnp.array([0.95, 0.1]), jnp.array([-1.0, 0.0]), task)
    np.testing.assert_allclose(near.obs, [0.96, -0.12], atol=1e-6)
    np.testing.assert_allclose(near.reward, 1.0 - math.hypot(0.04, 0.12), atol=1e-6)


@pytest.mark.parametrize(("name", "seen"), [("triangle", False), ("gain", True), ("speed", True)])
def test_what_an_action_does_is_shown_where_it_differs(name, seen):
    config, updates = preset(None, FAMILIES[name])
    assert config.structure.next_obs_in_context == seen
    assert config.structure.explorer == ("smooth" if name == "speed" else "held")
    assert updates == (60_000 if name == "gain" else 30_000)


def test_pictures_are_of_the_plane_only():
    assert POINTS["triangle"].plane.radius == 0.2
    assert POINTS["triangle"].plane.outline.shape == (4, 2)
    assert POINTS["tetrahedron"].plane is None
    assert POINTS["a line"].plane is None


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("point_mix", {"anchors": 1}, "anchors must be a whole number of at least 2, not 1"),
        ("point_mix", {"anchors": 2.5}, "anchors must be a whole number"),
        ("point_mix", {"anchors": True}, "anchors must be a whole number"),
        ("point_mix", {"dimensions": 0}, "dimensions must be a whole number of at least 1"),
        ("point_mix", {"dimensions": 1, "anchors": 3}, "two at most"),
        ("point_mix", {"dimensions": 1, "anchors": 2, "rotation": 1.0}, "at least 2, not 1"),
        ("point_mix", {"drift": -1.0}, "drift must be at least 0 and finite, not -1.0"),
        ("point_mix", {"gain": math.nan}, "gain must be at least 0"),
        ("point_mix", {"radius": 0.0}, "radius must be above 0"),
        ("triangle", {"horizon": 0}, "horizon must be a whole number of at least 1, not 0"),
        ("tetrahedron", {"spin": 1}, "has no option 'spin'; it takes anchors"),
        ("speed_mix", {"friction": 1.5}, "friction must be at most 1, not 1.5"),
        ("speed_mix", {"targets": 1}, "targets must be"),
        ("drive_mix", {"concentration": "a"}, "concentration must be above 0"),
        ("drive_mix", {"friction": 2}, "friction must be at most 1"),
    ],
)
def test_options_outside_their_range(name, options, said):
    with pytest.raises(ValueError, match=said):
        make(name, **options)


@pytest.mark.parametrize("name", POINTS)
def test_points_look_into_two_places_an_episode_and_longer_in_space(name):
    env = POINTS[name]
    config, updates = preset(None, env)
    assert config.structure.eval_draws == 2
    varied = any(style in name for style in (*STYLES, "styles"))
    assert config.structure.next_obs_in_context == varied
    long = varied or env.obs_dim == 3
    assert (updates, config.hyper.lr_decay_end) == ((60_000 if long else 30_000),) * 2
    assert config.hyper.lr_decay_start == (20_000 if long else 8_000)
    assert config.hyper.block_delay == (15_000 if long else 0)
    assert config.hyper.kl_weight == (0.001 if long else 0.003)
    encoder = (config.structure.encoder_width, config.structure.encoder_depth)
    assert encoder == ((128, 3) if env.obs_dim == 3 else (64, 2))
