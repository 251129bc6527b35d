"""The sum of evidence: what the encoder sees, masks, order, and contexts that lie end to end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import quick_compile

from structlat_jax.config import Hyper, Structure
from structlat_jax.inference import additive
from structlat_jax.inference.base import Learned
from structlat_jax.latents import latent_space
from structlat_jax.nets.networks import AgentParams, make_networks
from structlat_jax.shapes import Transition

OBS, ACTION, T, N = 3, 2, 4, 7
SPACE = latent_space("dir:1x3,cat:1x2,gau:2", precision="exp")
STRUCTURE = Structure(encoder_width=16, encoder_depth=2)
NETWORKS = make_networks(STRUCTURE, OBS, ACTION, SPACE.dim, SPACE.stat_dim)
RNG = np.random.default_rng(0)
SHAPES = jax.eval_shape(NETWORKS.zeros).encoder
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


LENGTHS = np.array([4, 3, 1, 6, 5])
OWNERS = np.float32([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]])  # the last episode belongs to none


def together(owners):
    """The transitions of a context, one after the other, ``[n, ...]``."""
    features = features_of(context((len(LENGTHS), N), seed=2))
    return np.concatenate([features[e, : LENGTHS[e]] for e in np.flatnonzero(owners)])


def spoiled():
    """The episodes ``[E, N, ...]``, NaN behind the end of each."""
    features = features_of(context((len(LENGTHS), N), seed=2))
    beyond = np.arange(N) >= LENGTHS[:, None]
    return np.where(beyond[..., None], np.nan, features)


def test_contexts_hold_their_own_episodes_up_to_the_end_of_each():
    """Also where there are NaN behind the ends."""

    @jax.jit
    def run(features):
        return additive.infer_contexts(NETWORKS, SPACE, PARAMS, features, OWNERS, LENGTHS)

    got = run(spoiled())
    for i, owners in enumerate(OWNERS):
        one = jax.tree.map(lambda x, i=i: x[i], got)
        assert_close(one, infer(together(owners)))


def test_what_lies_behind_an_end_has_no_gradient():
    """With zeros there, as the replay has them: everything is as if the episodes were shorter."""

    def loss(params, features, owners, lengths):
        q = additive.infer_contexts(NETWORKS, SPACE, params, features, owners, lengths)
        return jnp.sum(SPACE.mean(q)) + jnp.sum(SPACE.kl(q))

    grad = jax.jit(jax.grad(loss))
    whole = np.ones((len(LENGTHS), N, OBS + ACTION + 1), np.float32)
    whole[:2] = [together(owners) for owners in OWNERS]  # each as long as one episode can be
    with quick_compile():
        got = grad(PARAMS, np.nan_to_num(spoiled()), OWNERS, LENGTHS)
        expected = grad(PARAMS, whole, np.eye(2, 5, dtype=np.float32), np.full(5, N))
    assert_close(got, expected)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(got))


@pytest.mark.parametrize("length", [0, 1, 3, N])
def test_an_update_adds_the_evidence_of_the_steps_that_were_taken(length):
    t = context((N,), seed=3)
    beyond = np.arange(N) >= length
    t = t._replace(reward=np.where(beyond, np.nan, t.reward))
    hyper = Hyper(context_reward_scale=5.0)
    made = additive.make(NETWORKS, SPACE, next_obs=False)
    learned = Learned(AgentParams(PARAMS, None, None, None, None), {})
    before = 0.1 * jnp.arange(SPACE.stat_dim)
    got = jax.jit(lambda t, n: made.update(learned, hyper, before, t, n))(t, jnp.int32(length))
    expected = before + sum(
        additive.evidence_of(NETWORKS, SPACE, PARAMS, row) for row in features_of(t)[:length]
    )
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


PLAIN = latent_space("cat:1x2,gau:2", precision="exp")
RECORD = additive.make(NETWORKS, PLAIN, next_obs=False)


def test_the_record_starts_at_the_prior_and_draws_from_it():
    total = RECORD.init(None, None, None)
    mean, kl = jax.jit(RECORD.summary)(total, jax.random.key(0))
    np.testing.assert_allclose(mean, [1 / 2, 1 / 2, 0.0, 0.0])
    np.testing.assert_allclose(kl, 0.0, atol=1e-6)
    random = jax.jit(RECORD.randomness, static_argnums=(1, 2, 3))(jax.random.key(1), 500, 5, 2)
    assert (random.start, random.init) == (None, None)
    prior, noise = random.choices
    assert prior.shape == noise.shape == (500, 2, PLAIN.dim)
    z = np.asarray(prior).reshape(-1, PLAIN.dim)
    np.testing.assert_array_equal(RECORD.prior(total, (z[0], None)), z[0])
    np.testing.assert_allclose(z.mean(0), [0.5, 0.5, 0.0, 0.0], atol=0.12)
    np.testing.assert_allclose(z.std(0), [0.5, 0.5, 1.0, 1.0], atol=0.08)
    assert RECORD.greedy is None


def test_the_record_acts_on_the_posterior():
    total = jnp.linspace(1.0, 2.0, PLAIN.stat_dim)
    posterior, noise = PLAIN.posterior(total), PLAIN.noise(jax.random.key(0))
    z = RECORD.choose(None, total, None, 1, (None, noise))
    np.testing.assert_array_equal(z, PLAIN.transform(posterior, noise, hard=True))
    np.testing.assert_array_equal(np.sort(z[:2]), [0.0, 1.0])  # hard, as everywhere
    key = jax.random.key(1)
    drawn = PLAIN.sample(posterior, key, hard=True)
    np.testing.assert_array_equal(RECORD.sample(total, key), drawn)
    assert RECORD.note(total) is total
