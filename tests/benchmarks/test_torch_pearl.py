"""The PyTorch baseline does the arithmetic of our update: one test per kind of latent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import quick_compile

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.schedules import coefficients_at
from structlat_jax.config import PRESETS
from structlat_jax.data.batches import context_sampler, draw, make_batch, task_log_weights
from structlat_jax.data.replay import write
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup
from structlat_jax.types import Transition

torch = pytest.importorskip("torch")

from benchmarks.torch_pearl import convert  # noqa: E402
from benchmarks.torch_pearl.agent import Agent  # noqa: E402
from benchmarks.torch_pearl.latents import NotPorted  # noqa: E402

SMALL = {
    "width": 16,
    "depth": 2,
    "encoder_width": 16,
    "encoder_depth": 2,
    "train_tasks": 5,
    "meta_batch": 3,
    "batch_size": 8,
    "context_episodes": 4,
    "context_episodes_min": 2,
    "context_window": 2,
    "replay_steps": 400,
    "prior_episodes": 2,
    "explore_episodes": 2,
    "posterior_episodes": 1,
}
CASES = [("cpu", "dir:2x4,gau:2"), ("cpu", "cat:2x3"), ("paper", "gau:3,cat:1x3")]


def made_up_block(setup, rng):
    """Transitions ``[T, E, H]`` of a robot that jumps about; half of the episodes pay nothing."""
    s, horizon = setup.config.structure, setup.env.horizon
    shape = (s.train_tasks, setup.episodes_per_step, horizon)
    obs, action = rng.normal(size=(*shape, 2)), rng.uniform(-1, 1, (*shape, 2))
    paid = rng.integers(0, 2, shape[:2])[..., None] * rng.uniform(size=shape)
    arrays = (obs, action, paid, -rng.uniform(size=shape), obs + 0.1 * action, np.zeros(shape))
    return Transition(*(jnp.float32(x) for x in arrays))


def prepared(preset, latent):
    setup = make_setup(PRESETS[preset].replace(latent=latent, **SMALL))
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    with quick_compile():
        state = jax.jit(lambda key: init(setup, key))(jax.random.key(1))
    rng = np.random.default_rng(0)
    for _ in range(2):
        rings = write(state.replay, setup.layout, made_up_block(setup, rng))
        state = state._replace(replay=rings)
    return setup, hyper, state


@pytest.mark.parametrize(("preset", "latent"), CASES, ids=str)
def test_updates_agree(preset, latent):
    setup, hyper, state = prepared(preset, latent)
    agent = Agent(setup)
    convert.load(agent, state.params)
    coefficients = coefficients_at(hyper, state.updates)

    @jax.jit
    def ours(params, optimisers, key):
        weights = task_log_weights(setup, hyper, state.replay)
        batch = make_batch(setup, hyper, state.replay, weights, draw(setup, key))
        new = pearl_sac.update(setup.networks, setup.space, params, optimisers, batch, coefficients)
        return batch, new

    params, optimisers = state.params, state.optimisers
    for key in jax.random.split(jax.random.key(3), 3):
        with quick_compile():
            batch, (params, optimisers, losses) = ours(params, optimisers, key)
        weights = float(coefficients.kl_weight), float(coefficients.entropy_weight)
        theirs = agent.update(convert.batch(batch), *weights)
        # The second and third update show whether the ones before moved the same weights.
        expected = [float(x) for x in (losses.q, losses.v, losses.policy)]
        np.testing.assert_allclose(theirs, expected, rtol=2e-4, atol=1e-5)
    pairs = {"encoder": agent.encoder, "v": agent.v, "policy": agent.policy}
    pairs |= {"target_v": agent.target_v}
    for name, network in pairs.items():
        for own, other in zip(
            convert.parameters(network), convert.leaves(getattr(params, name)), strict=True
        ):
            # Adam's first steps are of size lr whatever the gradient's: where that is next to
            # nothing, rounding decides the sign.
            close = np.abs(own - other) < 0.02 * float(coefficients.lr)
            assert close.mean() > 0.97, name


def test_drawn_batches_are_like_ours():
    setup, _, state = prepared("cpu", "dir:2x4,gau:2")
    torch.manual_seed(0)
    replay = convert.replay(setup, state)
    agent = Agent(setup)
    s = setup.config.structure
    for _ in range(20):
        batch = replay.draw(agent.space.noise((s.meta_batch,)))
        assert batch.obs.shape == (s.meta_batch, s.batch_size, 2)
        episodes = context_sampler(setup, s.meta_batch).episodes
        assert batch.features.shape == (episodes, setup.env.horizon, 5)
        counts = batch.owners.sum(1)
        assert counts.min() >= s.context_episodes_min
        assert counts.max() <= s.context_episodes
        assert batch.owners.sum(0).max() == 1
        assert torch.all(batch.features[batch.silent > 0][..., 4] == 0)
        assert torch.all((batch.features[batch.silent == 0][..., 4] != 0).any(1))
        np.testing.assert_allclose(
            batch.next_obs - batch.obs, 0.1 * batch.action.clamp(-1, 1), atol=1e-6
        )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"latent": "gau:1,vmf:1"}, "families gau, dir, cat, not vmf:1"),
        ({"kl": "exact"}, "projected bridge"),
    ],
)
def test_what_it_does_not_have_is_refused(changes, what):
    with pytest.raises(NotPorted, match=what):
        Agent(make_setup(PRESETS["cpu"].replace(**changes)))
