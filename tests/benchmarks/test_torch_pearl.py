"""The PyTorch baseline does the arithmetic of our update: one test per kind of latent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import quick_compile

from structlat_jax.config import preset
from structlat_jax.data.batches import context_sampler, draw, make_batch, view
from structlat_jax.data.replay import write
from structlat_jax.envs import point_robot
from structlat_jax.shapes import Episodes, Transition
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup

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
CASES = [
    ("cpu", "dir:2x4,gau:2", False),
    ("cpu", "cat:2x3", True),
    ("paper", "gau:3,cat:1x3", False),
]


def made_up_block(setup, rng, early):
    """Episodes ``[T, E]`` of a robot that jumps about; half of them pay nothing, and some end
    ``early``."""
    s, horizon = setup.structure, setup.env.horizon
    shape = (s.train_tasks, setup.episodes_per_step, horizon)
    obs, action = rng.normal(size=(*shape, 2)), rng.uniform(-1, 1, (*shape, 2))
    paid = rng.integers(0, 2, shape[:2])[..., None] * rng.uniform(size=shape)
    arrays = (obs, action, paid, -rng.uniform(size=shape), obs + 0.1 * action, np.zeros(shape))
    length = rng.integers(1, horizon + 1, shape[:2]) if early else np.full(shape[:2], horizon)
    lived = np.arange(horizon) < length[..., None]
    wide = (x * lived.reshape(*shape, *[1] * (x.ndim - 3)) for x in arrays)
    success = (paid * lived != 0).any(-1)
    transitions = Transition(*(jnp.float32(x) for x in wide))
    return Episodes(transitions, jnp.int32(length), jnp.float32(success))


def prepared(name, latent, early=False):
    setup = make_setup(preset(name, point_robot.make())[0].replace(latent=latent, **SMALL))
    hyper = jax.tree.map(jnp.float32, setup.config.hyper)
    with quick_compile():
        state = jax.jit(lambda key: init(setup, key))(jax.random.key(1))
    rng = np.random.default_rng(0)
    for _ in range(2):
        rings = write(state.replay, setup.layout, made_up_block(setup, rng, early))
        state = state._replace(replay=rings)
    return setup, hyper, state


@pytest.mark.parametrize(("name", "latent", "early"), CASES, ids=str)
def test_updates_agree(name, latent, early):
    setup, hyper, state = prepared(name, latent, early)
    agent = Agent(setup)
    convert.load(agent, state.params)
    coefficients = setup.algorithm.coefficients(hyper, state.updates)

    @jax.jit
    def ours(params, moments, key):
        batch = make_batch(setup, hyper, view(setup, hyper, state.replay), draw(setup, key))
        return batch, setup.algorithm.update(params, moments, batch, coefficients)

    params, moments = state.params, state.moments
    for key in jax.random.split(jax.random.key(3), 3):
        with quick_compile():
            batch, (params, moments, metrics) = ours(params, moments, key)
        weights = float(coefficients.kl_weight), float(coefficients.entropy_weight)
        theirs = agent.update(convert.batch(batch), *weights)
        # The second and third update show whether the ones before moved the same weights.
        expected = [float(metrics[loss]) for loss in ("q", "v", "policy")]
        np.testing.assert_allclose(theirs, expected, rtol=2e-4, atol=1e-5)
    pairs = {"encoder": agent.encoder, "v": agent.v, "policy": agent.policy}
    pairs |= {"target_v": agent.target_v}
    for part, network in pairs.items():
        for own, other in zip(
            convert.parameters(network), convert.leaves(getattr(params, part)), strict=True
        ):
            # Adam's first steps are of size lr whatever the gradient's: where that is next to
            # nothing, rounding decides the sign.
            close = np.abs(own - other) < 0.02 * float(coefficients.lr)
            assert close.mean() > 0.97, part


@pytest.mark.parametrize("early", [False, True])
def test_drawn_batches_are_like_ours(early):
    setup, _, state = prepared("cpu", "dir:2x4,gau:2", early)
    torch.manual_seed(0)
    replay = convert.replay(setup, state)
    agent = Agent(setup)
    s = setup.structure
    for _ in range(20):
        batch = replay.draw(agent.space.noise((s.meta_batch,)))
        assert batch.obs.shape == (s.meta_batch, s.batch_size, 2)
        episodes = context_sampler(setup, s.meta_batch).episodes
        assert batch.features.shape == (episodes, setup.env.horizon, 5)
        counts = batch.owners.sum(1)
        assert counts.min() >= s.context_episodes_min
        assert counts.max() <= s.context_episodes
        assert batch.owners.sum(0).max() == 1
        assert torch.all(batch.features[batch.failed > 0][..., 4] == 0)
        assert torch.all((batch.features[batch.failed == 0][..., 4] != 0).any(1))
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
        Agent(make_setup(preset("cpu", point_robot.make())[0].replace(**changes)))
