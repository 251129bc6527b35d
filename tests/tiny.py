"""Shared by the tests: a task, a configuration and programs so small that they compile in seconds.

The programs are cached, so that the test files share them.
"""

import contextlib
import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from structlat_jax.config import Config
from structlat_jax.envs import Env, Step
from structlat_jax.inference import bayes, world_model
from structlat_jax.inference.base import Learned
from structlat_jax.inference.world_model import WorldModel
from structlat_jax.nets.networks import Networks
from structlat_jax.store.checkpoint import keys_to_data
from structlat_jax.train import parallel, repeats
from structlat_jax.train.learn import init_params
from structlat_jax.train.setup import Setup, assemble, make_setup

TRACES = []
"""One entry for each time that a rollout of `setup` was traced."""

FIRST_TRACES = {}
"""Number of seeds to the traces that the first two calls of their step needed."""

ORACLE = 3.5
HORIZON = 4
RADIUS = 0.6
EDGE = 0.9

SIZES = {
    "latent": "cat:1x3,gau:1",
    "posterior": "context",
    "inference": "hypotheses",
    "width": 4,
    "depth": 1,
    "encoder_width": 4,
    "encoder_depth": 1,
    "train_tasks": 4,
    "test_tasks": 2,
    "meta_batch": 2,
    "batch_size": 4,
    "context_episodes": 2,
    "context_window": 2,
    "updates_per_step": 5,
    "prior_episodes": 2,
    "explore_episodes": 2,
    "posterior_episodes": 1,
    "replay_steps": 60,
    "hypotheses": 16,
    "world_width": 4,
    "world_updates": 2,
    "world_draws": 2,
    "eval_episodes": 4,
    "eval_prior_episodes": 2,
    "eval_repeats": 2,
}
HYPER = {"kl_ramp_updates": 10.0, "kl_weight_start": 0.0, "kl_weight": 0.1}


def paid(distance: Any) -> Any:
    """The sparse reward at a distance from the goal of the line."""
    return jnp.where(distance <= RADIUS, 1.0 - distance, 0.0)


def line() -> Env:
    """A point on a line with its goal at +1 or -1. A step moves by at most 0.5, and the sparse
    reward is paid within 0.6 of the goal, so that no full step ends on the edge. Tasks alternate:
    half of any even number are +1."""

    def sample_tasks(key, n):
        odd = (jnp.arange(n) + jax.random.randint(key, (), 0, 2)) % 2
        return 2.0 * odd.astype(jnp.float32) - 1.0

    def step(state, action, task):
        position = state + 0.5 * jnp.clip(action, -1.0, 1.0)
        distance = jnp.abs(position[0] - task)
        return Step(position, position, paid(distance), -distance, jnp.zeros(()))

    return Env(
        name="line",
        obs_dim=1,
        action_dim=1,
        horizon=HORIZON,
        sample_tasks=sample_tasks,
        # The key is used, so that the key-reuse checker follows it.
        reset=lambda key, task: 0.0 * jax.random.normal(key, (1,)),
        observe=lambda state: state,
        step=step,
        oracle_return=lambda task: jnp.float32(ORACLE),
        success=lambda t, task: t.reward != 0,
        factors=lambda task: {"side": task},
        label=lambda task: task,
    )


def ending() -> Env:
    """The line, but an episode ends where the point has gone further than `EDGE` from the origin.
    All numbers behind that are NaN, which "succeeds" too: nothing of it may be looked at."""
    usual = line()

    def step(state, action, task):
        out = usual.step(state, action, task)
        out = out._replace(done=(jnp.abs(out.state[0]) > EDGE).astype(jnp.float32))
        return jax.tree.map(lambda x: jnp.where(jnp.abs(state[0]) > EDGE, jnp.nan, x), out)

    return dataclasses.replace(usual, name="ending", step=step, oracle_return=None)


def dense() -> Env:
    """The line, but what is paid is minus the distance at every step, and nothing is a success.
    The goal is at a distance that nobody reaches, so that rewards are below zero everywhere."""

    def step(state, action, task):
        out = line().step(state, action, 5.0 * task)
        return out._replace(reward=out.train_reward)

    changes = {"oracle_return": None, "success": None, "factors": None, "label": None}
    return dataclasses.replace(line(), name="dense", step=step, explore=sweep, **changes)


def sweep(key: Any) -> Any:
    """How `dense` explores: from one full action to the other, from a random place on."""
    ramp = jnp.linspace(-1.0, 1.0, HORIZON)[:, None]
    return jnp.sin(jax.random.uniform(key) + jnp.pi * ramp)


def counting(env: Env, count: list) -> Env:
    """The same environment; each trace of a rollout adds an entry to ``count``."""

    def reset(key, task):
        count.append(1)
        return env.reset(key, task)

    return dataclasses.replace(env, reset=reset)


def config(**changes: Any) -> Config:
    """The tiny configuration."""
    return Config().replace(**{**SIZES, **HYPER, **changes})


ENVIRONMENTS = {"line": line, "ending": ending, "dense": dense}


@cache
def setup(env: str = "line", **changes: Any) -> Setup:
    """The tiny configuration on an environment; `TRACES` counts what is traced."""
    return make_setup(config(**changes), counting(ENVIRONMENTS[env](), TRACES))


@cache
def learned(seed: int = 0) -> Learned:
    """Fresh parameters of `setup`."""
    return Learned(*jax.jit(lambda key: init_params(setup(), key))(jax.random.key(seed)))


@contextlib.contextmanager
def quick_compile():
    """Programs compiled in here take half of the time; they run slower, which does not matter."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


@cache
def programs(seeds: int) -> tuple[parallel.Programs, Any]:
    """Programs for a number of seeds on one device, and their hyper-parameters; compiled."""
    made = parallel.make_programs(setup(), seeds, jax.devices()[:1])
    hyper = parallel.spread(made, config().hyper)
    with quick_compile():
        state = made.init(parallel.seed_numbers(made, 0))
        before = len(TRACES)
        made.step(hyper, made.step(hyper, state)[0])
    FIRST_TRACES[seeds] = len(TRACES) - before
    return made, hyper


@cache
def evaluator(seeds: int = 1):
    """The evaluation program of `programs`, compiled; gives the adaptation alone."""
    made, hyper = programs(seeds)
    numbers = parallel.seed_numbers(made, 0)
    with quick_compile():
        made.evaluate(hyper, made.init(numbers), *[numbers] * 3)

    def evaluate(*arguments, **options):
        return repeats.evaluate(made, *arguments, **options).adaptation

    return evaluate


def train(seeds: int, first: int, steps: int) -> tuple[Any, list]:
    """The state after some meta-steps, and the metrics of each."""
    made, hyper = programs(seeds)
    return go_on(seeds, made.init(parallel.seed_numbers(made, first)), steps, hyper)


def go_on(seeds: int, state: Any, steps: int, hyper: Any = None) -> tuple[Any, list]:
    """`train` from a given state, which is donated."""
    made, usual = programs(seeds)
    metrics = []
    for _ in range(steps):
        state, one = made.step(usual if hyper is None else hyper, state)
        metrics.append(jax.tree.map(np.asarray, one))
    return state, metrics


def following_z(params: Any) -> Any:
    """The parameters of one seed with a policy that is all but deterministic: its action is the
    hyperbolic tangent of the last number of z, whatever the observation."""
    zeros = jax.tree.map(jnp.zeros_like, params.policy["params"])
    policy = {
        **zeros,
        "kernel_0": zeros["kernel_0"].at[-1, :2].set(jnp.array([1.0, -1.0])),
        "kernel_head": zeros["kernel_head"].at[:2, 0].set(jnp.array([1.0, -1.0])),
        "bias_head": jnp.array([0.0, -20.0]),
    }
    return params._replace(policy={"params": policy})


@dataclasses.dataclass(frozen=True)
class Informed(WorldModel):
    """An exact world model of the line, all but certain of what it says: the goal is on the side of
    the destination. It has parameters and does not read them."""

    def next_obs(self, params: Any, obs: Any, action: Any) -> Any:
        return obs + 0.5 * jnp.clip(action, -1.0, 1.0)

    def reward(self, params: Any, obs: Any, action: Any, destination: Any) -> Any:
        position = self.next_obs(params, obs, action)
        mean = paid(jnp.abs(position - jnp.sign(destination))[..., 0])
        return jnp.where(mean > 0, 20.0, -20.0), mean, jnp.full_like(mean, -2.0)


def mode_of(networks: Networks, policy: Any) -> Any:
    """The policy's mode, as a function of observation and z."""
    return lambda obs, z: jnp.tanh(networks.policy(policy, obs, z)[0])


def exact_model(own: Setup) -> WorldModel:
    """What `informed` is informed by."""
    usual = world_model.make(own.structure.world_width, 1, 1)
    return Informed(**vars(usual))


def informed(own: Setup) -> Setup:
    """The same setup with an exact world model."""
    return assemble(own, inference=bayes.make(own, own.algorithm, exact_model(own)))


def mixture_log_density(reward: Any, logit: Any, mean: Any, log_std: Any) -> np.ndarray:
    """In double precision: of rewards that are 0 but for a share, which is normal."""
    reward, logit, mean, log_std = (np.asarray(x, float) for x in (reward, logit, mean, log_std))
    normal = norm.logpdf(reward, mean, np.exp(np.clip(log_std, -3.0, 1.0)))
    return np.where(reward != 0, normal - np.logaddexp(0, -logit), -np.logaddexp(0, logit))


def one_seed(tree: Any, seed: int = 0) -> Any:
    """The part of one seed."""
    return jax.tree.map(lambda x: x[seed], tree)


def flat(tree: Any) -> np.ndarray:
    """All numbers of a tree in one vector, random keys as the integers that they hold."""
    leaves = jax.tree.leaves(keys_to_data(tree))
    return np.concatenate([np.asarray(x, dtype=np.float64).ravel() for x in leaves])


def all_finite(tree: Any) -> bool:
    """Whether every number of a tree is finite."""
    return bool(np.all(np.isfinite(flat(tree))))


def assert_same(a: Any, b: Any) -> None:
    """Fails unless two trees hold the same bits."""
    a, b = keys_to_data(a), keys_to_data(b)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
