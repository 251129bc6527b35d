import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structlat_jax.config import Structure
from structlat_jax.inference import additive
from structlat_jax.latents import latent_space
from structlat_jax.nets.networks import make_networks
from structlat_jax.types import Transition

OBS, ACTION, T, N = 3, 2, 4, 7
SPACE = latent_space("dir:1x3,cat:1x2,gau:2", precision="exp")
STRUCTURE = Structure(encoder_width=16, encoder_depth=2)
NETWORKS = make_networks(STRUCTURE, OBS, ACTION, SPACE.dim, SPACE.stat_dim)
RNG = np.random.default_rng(0)
SHAPES = jax.eval_shape(NETWORKS.init, jax.random.key(0)).encoder
PARAMS = jax.tree.map(lambda x: np.asarray(0.4 * RNG.normal(size=x.shape), x.dtype), SHAPES)
build_features = jax.jit(additive.context_features, static_argnums=2)


@jax.jit
def infer(features, mask=None):
    return additive.infer(NETWORKS, SPACE, PARAMS, features, mask)


def context(shape=(T, N), seed=0):
    widths = ((OBS,), (ACTION,), (), (), (OBS,), ())
    rng = np.random.default_rng(seed)
    return Transition(*(np.float32(rng.normal(size=(*shape, *width))) for width in widths))


def features_of(t, scale=5.0, next_obs=False):
    return np.asarray(build_features(t, scale, next_obs))


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4), a, b)


def test_features_are_observation_action_and_scaled_reward():
    t = context()
    expected = np.concatenate([t.obs, t.action, 5.0 * t.reward[..., None]], axis=-1)
    np.testing.assert_allclose(features_of(t), expected, rtol=1e-6)


@pytest.mark.parametrize("next_obs", [False, True])
def test_features_never_hold_the_shaped_reward(next_obs):
    t = context()
    spoiled = t._replace(train_reward=np.full((T, N), np.nan), done=np.full((T, N), np.nan))
    np.testing.assert_array_equal(
        features_of(spoiled, 5.0, next_obs), features_of(t, 5.0, next_obs)
    )


def test_next_observation_is_an_option_and_the_encoder_is_as_wide():
    t = context()
    assert features_of(t).shape == (T, N, OBS + ACTION + 1)
    wide = features_of(t, next_obs=True)
    assert wide.shape == (T, N, 2 * OBS + ACTION + 1)
    np.testing.assert_array_equal(wide[..., -OBS:], t.next_obs)
    structure = Structure(next_obs_in_context=True, encoder_width=16, encoder_depth=1)
    networks = make_networks(structure, OBS, ACTION, SPACE.dim, SPACE.stat_dim)
    assert networks.widths[0] == 2 * OBS + ACTION + 1


def test_features_of_one_transition_have_no_leading_axes():
    assert features_of(context(())).shape == (OBS + ACTION + 1,)


@pytest.mark.parametrize("kept", [1, 4, N])
def test_masked_context_equals_the_truncated_one(kept):
    features = features_of(context())
    mask = np.float32(np.broadcast_to(np.arange(N) < kept, (T, N)))
    assert_close(infer(features, mask), infer(features[:, :kept]))


def test_masked_transitions_may_hold_anything():
    features = features_of(context())
    mask = np.float32(np.broadcast_to(np.arange(N) < 3, (T, N)))
    spoiled = np.where(mask[..., None] > 0, features, np.nan)
    assert_close(infer(spoiled, mask), infer(features, mask))


def test_all_masked_is_the_prior():
    posterior = infer(features_of(context()), jnp.zeros((T, N)))
    assert all(np.all(q.empty) for q in posterior)
    np.testing.assert_array_equal(posterior[2].variance, 1.0)


def test_order_of_transitions_does_not_matter():
    features = features_of(context())
    assert_close(infer(features[:, ::-1]), infer(features))


def test_one_at_a_time_equals_the_whole_context():
    features = features_of(context((N,)))
    one = jax.jit(lambda x: additive.evidence_of(NETWORKS, SPACE, PARAMS, x))
    total = jnp.zeros(SPACE.stat_dim)
    for row in features:
        total = total + one(row)
    assert_close(SPACE.posterior(total), infer(features))


def test_tasks_do_not_see_each_other():
    features = features_of(context())
    changed = features.copy()
    changed[1:] = 0.0
    first = lambda posterior: jax.tree.map(lambda x: x[0], posterior)  # noqa: E731
    assert_close(first(infer(changed)), first(infer(features)))
    assert np.any(infer(changed)[2].mean[1] != infer(features)[2].mean[1])
