"""The PyTorch baselines of the algorithms beside PEARL do the arithmetic of ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import quick_compile

from structlat_jax.algos import maml as ours
from structlat_jax.algos import ppo
from structlat_jax.algos.base import Learner
from structlat_jax.algos.belief_sac import thin
from structlat_jax.config import preset
from structlat_jax.data.batches import draw, make_batch, view
from structlat_jax.envs import drive_mix, point_robot
from structlat_jax.nets.mlp import MLP
from structlat_jax.train.learn import init
from structlat_jax.train.setup import make_setup
from structlat_jax.train.trials import act

torch = pytest.importorskip("torch")

from test_torch_pearl import SMALL, made_up_block  # noqa: E402

from benchmarks.torch_pearl import convert, others  # noqa: E402
from benchmarks.torch_pearl.maml import Maml  # noqa: E402
from structlat_jax.data.replay import write  # noqa: E402


def started(setup):
    with quick_compile():
        return jax.jit(lambda key: init(setup, key))(jax.random.key(1))


@pytest.mark.parametrize(
    ("algorithm", "latent"),
    [("pearl-belief", "gau:3"), ("pearl-belief", "dir:2x4,cat:1x3"), ("oracle", "gau:3")],
)
def test_updates_agree(algorithm, latent, monkeypatch):
    changes = {"latent": latent, "algorithm": algorithm, "shaped_share": 0.7, **SMALL}
    setup = make_setup(preset("cpu", point_robot.make())[0].replace(**changes))
    hyper, state = jax.tree.map(jnp.float32, setup.config.hyper), started(setup)
    block = made_up_block(setup, np.random.default_rng(0), early=True)
    rings = write(state.replay, setup.layout, block)
    agent = others.make(setup, state.params)
    coefficients = setup.algorithm.coefficients(hyper, state.updates)

    @jax.jit
    def updated(params, moments, key):
        batch = make_batch(setup, hyper, view(setup, hyper, rings), draw(setup, key))
        cut = thin(batch, jax.random.split(batch.kl_key)[0])
        return batch, cut, setup.algorithm.update(params, moments, batch, coefficients)

    params, moments = state.params, state.moments
    for key in jax.random.split(jax.random.key(3), 3):
        with quick_compile():
            batch, cut, (params, moments, metrics) = updated(params, moments, key)
        same = (convert.tensor(cut.owners), convert.tensor(cut.length))
        monkeypatch.setattr(agent, "thin", lambda _, same=same: same, raising=False)
        weights = float(coefficients.kl_weight), float(coefficients.entropy_weight)
        theirs = agent.update(convert.batch(batch), *weights)
        # The second and third update show whether the ones before moved the same weights.
        expected = [float(metrics[loss]) for loss in ("q", "v", "policy")]
        np.testing.assert_allclose(theirs, expected, rtol=3e-4, atol=1e-5)


def test_contexts_are_thinned_as_ours_are():
    config = preset("cpu", point_robot.make())[0]
    setup = make_setup(config.replace(latent="gau:3", algorithm="pearl-belief", **SMALL))
    agent = others.BeliefAgent(setup)
    torch.manual_seed(0)
    owners, length = torch.ones(4000, 1), torch.full((4000,), 20)
    batch = convert.Batch(*[None] * 6, None, length, owners, *[None] * 4)
    kept, cut = agent.thin(batch)
    assert kept.mean() == pytest.approx(0.75, abs=0.03)
    assert (cut < 20).float().mean() == pytest.approx(0.25 * 19 / 20, abs=0.03)
    assert cut.min() >= 1


@pytest.fixture(scope="module")
def maml():
    """Trials of a policy that is not near zero anywhere and moves far in its step."""
    changes = {"algorithm": "maml", "trial_episodes": 6, "adapt_episodes": 2, "train_tasks": 8}
    changes |= {"width": 16, "depth": 2, "updates_per_step": 3, "minibatches": 1, "test_tasks": 1}
    changes |= {
        "starts": 1,
        "explore_share": 0.5,
        "shaped_share": 0.7,
        "entropy_weight": 0.02,
        "lr": 3e-3,
    }
    env = drive_mix.make()
    setup = make_setup(preset("cpu", env)[0].replace(inner_lr=2.0, **changes), env)
    hyper, state = jax.tree.map(jnp.float32, setup.config.hyper), started(setup)
    noise = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.1 * noise.normal(size=x.shape), state.params)
    state = state._replace(params=jax.tree.map(jnp.float32, params))
    given = (setup, hyper, state.learned, state.train_tasks, 6, jax.random.key(2), True)
    with quick_compile():
        return setup, hyper, state, act(*given)


def test_the_gradient_through_mamls_step_agrees(maml):
    setup, hyper, state, trials = maml
    env, policy = setup.env, state.params.policy
    net = MLP(16, 2, env.action_dim)
    with quick_compile():
        seen = ours.behind(net, policy, hyper, trials, 2)
        later = jax.tree.map(lambda x: 1.02 * x, policy)  # where ratios are not all one
        c = ppo.coefficients_at(hyper, state.updates)
        expected = jax.grad(ours.objective, argnums=1, has_aux=True)(net, later, seen, hyper, c)[0]
    theirs = Maml(setup, state.params)
    found = theirs.behind(trials)
    for own, other in zip(jax.tree.leaves(found), jax.tree.leaves(seen), strict=True):
        np.testing.assert_allclose(own, other, rtol=2e-4, atol=2e-5)
    theirs = Maml(setup, state.params._replace(policy=later))
    theirs.objective(found, float(hyper.entropy_weight))[0].backward()
    slopes = [p.grad.numpy() for p in theirs.net.parameters()]
    pairs = [*zip(slopes, convert.leaves(expected["net"]), strict=True)]
    pairs.append((theirs.log_std.grad.numpy(), expected["log_std"]))
    for own, other in pairs:
        np.testing.assert_allclose(own, other, rtol=2e-3, atol=2e-3 * np.abs(other).max())


def test_mamls_updates_agree(maml):
    setup, hyper, state, trials = maml
    learner = Learner(state.params, state.moments, state.replay)
    learn = setup.algorithm.on_policy.learn
    with quick_compile():
        learner, metrics = learn(hyper, learner, trials, state.updates, jax.random.key(4))
    theirs = Maml(setup, state.params)
    found = theirs.learn(theirs.behind(trials), float(hyper.entropy_weight))
    np.testing.assert_allclose(found, metrics["policy"], rtol=1e-3, atol=1e-6)
    after = learner.params.policy
    pairs = [*zip(convert.parameters(theirs.net), convert.leaves(after["net"]), strict=True)]
    for own, other in pairs:
        assert (np.abs(own - other) < 0.02 * float(hyper.lr)).mean() > 0.97
    np.testing.assert_allclose(theirs.log_std.detach(), after["log_std"], rtol=1e-4, atol=1e-5)


def test_an_update_of_maml_sees_some_trials(maml):
    setup, _, state, trials = maml
    theirs = Maml(setup, state.params)
    seen = theirs.behind(trials)
    some = seen.some(torch.tensor([1, 3]))
    assert some.log_prob.shape == (2, *seen.log_prob.shape[1:])
    np.testing.assert_array_equal(some.after.reward, seen.after.reward[[1, 3]])
