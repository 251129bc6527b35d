"""The engine in C behind a compiled program: the same as gymnasium's, lane by lane."""

import concurrent.futures
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")

from bodies import standard  # noqa: E402

from structlat_jax.envs import make  # noqa: E402
from structlat_jax.envs.bodies import kinds, models, on_host  # noqa: E402
from structlat_jax.envs.bodies.assemble import BodyState, BodyTask  # noqa: E402

THEIRS = {
    "cheetah_vel": ("HalfCheetah-v5", {}),
    "ant_dir": ("Ant-v5", {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0}),
    "hopper_body": ("Hopper-v5", {}),
    "walker_body": ("Walker2d-v5", {}),
}


def states(kind, count, seed=0):
    rng = np.random.default_rng(seed)
    qpos = np.float32(np.array(kind.rest) + rng.uniform(-0.05, 0.05, (count, kind.qpos)))
    qvel = np.float32(0.1 * rng.normal(size=(count, kind.qvel)))
    return qpos, qvel, np.zeros(count, bool), np.float32(rng.uniform(-1, 1, (count, kind.actions)))


@pytest.mark.parametrize("name", THEIRS)
def test_a_step_is_that_of_gymnasium(name):
    """Observations and, where the task is theirs, rewards, from states of single precision on."""
    pytest.importorskip("imageio")  # which gymnasium asks for
    known, options = THEIRS[name]
    with models.quietly():
        theirs = gymnasium.make(known, **options).unwrapped
    env = make(name)
    task, step = standard(env), jax.jit(env.step)
    theirs.reset(seed=3)
    rng = np.random.default_rng(3)
    for _ in range(12):
        qpos, qvel = np.float32(theirs.data.qpos), np.float32(theirs.data.qvel)
        theirs.set_state(qpos.astype(float), qvel.astype(float))
        action = rng.uniform(-1, 1, env.action_dim).astype(np.float32)
        obs, reward, ended, _, told = theirs.step(action)
        mine = step(BodyState(qpos, qvel, jnp.bool_(False)), action, task)
        np.testing.assert_allclose(mine.obs, obs, atol=3e-4)
        assert bool(mine.done) == (ended and name != "cheetah_vel")
        if name == "cheetah_vel":
            reward = -abs(told["x_velocity"]) - 0.05 * np.sum(action**2)
        if name == "ant_dir":  # whose place is, with them, that of a step of the engine before
            ahead = (theirs.data.qpos[0] - qpos[0]) / 0.05
            reward = ahead + told["reward_survive"] + told["reward_ctrl"]
        assert float(mine.reward) == pytest.approx(reward, abs=2e-4)
        if ended:
            break


def test_the_start_is_that_of_gymnasium():
    for kind, file in ((kinds.CHEETAH, None), (kinds.HOPPER, None), (kinds.ANT, None)):
        np.testing.assert_allclose(models.build(kind, {}).qpos0, kind.rest, err_msg=str(file))


def test_lanes_know_nothing_of_each_other():
    """Alone or among others, whatever happens to those: the same bits."""
    kind, cache = kinds.HOPPER, models.Cache(kinds.HOPPER, {})
    qpos, qvel, over, action = states(kind, 7)
    every = on_host._step(kind, cache, None, qpos, qvel, over, action)
    assert every.fine.all()
    wild = qvel.copy()
    wild[2], wild[3], over[4] = 1e9, np.nan, True
    some = on_host._step(kind, cache, None, qpos, wild, over, action)
    np.testing.assert_array_equal(some.fine, [1, 1, 0, 0, 1, 1, 1])
    unharmed = [0, 1, 5, 6]
    for one, other in zip(some[:2], every[:2], strict=True):
        np.testing.assert_array_equal(one[unharmed], other[unharmed])
    np.testing.assert_array_equal(some.qpos[[2, 3, 4]], qpos[[2, 3, 4]])
    alone = on_host._step(kind, cache, None, *(x[5] for x in (qpos, qvel, over, action)))
    np.testing.assert_array_equal(alone.qpos, every.qpos[5])
    assert np.shape(alone.fine) == ()


def test_a_body_that_cannot_be_ends_its_own_lane():
    kind, cache = kinds.HOPPER, models.Cache(kinds.HOPPER, {"gear": 1})
    body = np.float32([[0.0], [np.nan], [0.3]])
    moved = on_host._step(kind, cache, body, *states(kind, 3))
    np.testing.assert_array_equal(moved.fine, [1, 0, 1])
    assert np.isfinite(moved.qpos).all()


def test_what_diverges_is_an_end_and_finite():
    env = make("cheetah_vel")
    start = env.reset(jax.random.key(0), standard(env))
    out = env.step(start._replace(qvel=start.qvel.at[3].set(1e9)), jnp.zeros(6), standard(env))
    assert float(out.done) == 1.0
    assert bool(out.state.over)
    assert np.isfinite(float(out.reward))
    after = env.step(out.state, jnp.ones(6), standard(env))
    np.testing.assert_array_equal(after.state.qpos, out.state.qpos)


def test_nothing_is_written_or_said(tmp_path, monkeypatch, capfd):
    """Not even of what diverges: the engine would keep a log in the working directory."""
    monkeypatch.chdir(tmp_path)
    kind = kinds.HOPPER
    qpos, qvel, over, action = states(kind, 2)
    on_host._step(kind, models.Cache(kind, {}), None, qpos, qvel + 1e9, over, action)
    models._compiled(kinds.CHEETAH, {})
    assert not os.listdir(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_axes_broadcast():
    """Bodies along one axis, episodes along another, as a vmap within a vmap gives them."""
    kind = kinds.CHEETAH
    cache = models.Cache(kind, {"gear": 1})
    qpos, qvel, over, action = states(kind, 6)
    body = np.float32([[0.0], [0.5]])
    wide = on_host._step(
        kind,
        cache,
        body[:, None],
        *(x.reshape(2, 3, -1) for x in (qpos, qvel)),
        over.reshape(2, 3),
        action[None, :3],
    )
    each = [
        on_host._step(kind, cache, body[i], qpos[3 * i + j], qvel[3 * i + j], over[0], action[j])
        for i in range(2)
        for j in range(3)
    ]
    np.testing.assert_array_equal(wide.qpos.reshape(6, -1), [x.qpos for x in each])
    assert not np.array_equal(wide.qpos[0], wide.qpos[1])


def test_a_batch_is_one_call(monkeypatch):
    """However many axes the caller maps over."""
    calls = []
    real = on_host._step
    monkeypatch.setattr(on_host, "_step", lambda *args: calls.append(args) or real(*args))
    env = make("cheetah_vel")
    tasks = env.sample_tasks(jax.random.key(0), 3)
    over_episodes = jax.vmap(env.step, in_axes=(0, 0, None))
    start = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(jax.random.key(1), 4), tasks)
    both = jax.jit(jax.vmap(over_episodes, in_axes=(None, None, 0)))
    out = both(start, jnp.zeros((4, 6)), tasks)
    assert out.obs.shape == (3, 4, 17)
    assert len(calls) == 1


def test_two_devices_may_call_at_once():
    """One pool of threads serves both, one after the other."""
    kind, cache = kinds.WALKER, models.Cache(kinds.WALKER, {})
    every = [states(kind, 16, seed) for seed in range(8)]
    step = functools.partial(on_host._step, kind, cache, None)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: step(*x), every))
    for one, given in zip(together, every, strict=True):
        np.testing.assert_array_equal(one.qpos, step(*given).qpos)


def test_another_model_is_noticed(monkeypatch, tmp_path):
    """A gymnasium whose hopper is not the one that is known here."""
    text = (Path(models._assets()) / "hopper.xml").read_text()
    (tmp_path / "hopper.xml").write_text(text.replace('timestep="0.002"', 'timestep="0.001"'))
    monkeypatch.setattr(models, "_assets", lambda: str(tmp_path))
    model = models._compiled(kinds.HOPPER, {})
    with pytest.raises(ValueError, match=r"a step of 0\.004 s, where .* and 0\.008 s are known"):
        on_host._require_layout(kinds.HOPPER, model)


def test_a_task_carries_numbers_alone():
    env = make("hopper_body")
    tasks = env.sample_tasks(jax.random.key(0), 2)
    assert isinstance(tasks, BodyTask)
    assert tasks.body.shape == (2, 4 + 4 + 6 + 5)
