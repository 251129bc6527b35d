from functools import cache

import by_hand
import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from structlat_jax.config import Structure
from structlat_jax.nets.heads import LOG_STD_RANGE, squash
from structlat_jax.nets.init import initialise
from structlat_jax.nets.mlp import MLP
from structlat_jax.nets.networks import SMALL_HEADS, make_networks

OBS, ACTION, LATENT, STAT = 3, 2, 4, 6


def networks(**structure):
    sizes = {"width": 16, "depth": 2, "encoder_width": 12, "encoder_depth": 2}
    return make_networks(Structure(**{**sizes, **structure}), OBS, ACTION, LATENT, STAT)


@cache
def initial(seed=0, scheme="he", **structure):
    """Fresh parameters, drawn by one program."""
    shapes = jax.eval_shape(networks(**structure).zeros)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    run = jax.jit(lambda key: initialise(key, zeros, scheme, SMALL_HEADS))
    return run(jax.random.key(seed))


def initial_layers(network, **options):
    """The freshly drawn layers of one of the networks."""
    return getattr(initial(**options), network)["params"]


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def randomised(params, seed=0):
    """The same tree with every entry random, biases included."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: np.float32(rng.normal(size=p.shape) * 0.3), params)


@pytest.mark.parametrize(("lead", "z_lead"), [((5, 7), ()), ((7,), (5, 1)), ((), (5, 7)), ((), ())])
def test_conditioning_broadcasts_axes_that_one_side_lacks(lead, z_lead):
    net = MLP(width=8, depth=2, out=2)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros(OBS), jnp.zeros(LATENT))
    params, x, z = randomised(shapes), normal(*lead, OBS), normal(*z_lead, LATENT)
    wide = np.broadcast_shapes(lead, z_lead)
    parts = [np.broadcast_to(part, (*wide, part.shape[-1])) for part in (x, z)]
    expected = by_hand.mlp(params, np.concatenate(parts, axis=-1))
    got = jax.jit(net.apply)(params, x, z)
    assert got.shape == (*wide, 2)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("norm", [False, True])
def test_conditioning_equals_concatenation(depth, norm):
    net = MLP(width=16, depth=depth, out=2, norm=norm)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros(OBS), jnp.zeros(LATENT))
    params = randomised(shapes)
    x, z = normal(5, 7, OBS), normal(5, 1, LATENT)
    both = np.concatenate([x, np.broadcast_to(z, (5, 7, LATENT))], axis=-1)
    got = jax.jit(net.apply)(params, x, z)
    np.testing.assert_allclose(got, by_hand.mlp(params, both, norm), rtol=1e-3, atol=1e-4)


def test_unconditioned_network_is_a_plain_mlp():
    net = MLP(width=8, depth=2, out=3)
    params = randomised(jax.eval_shape(net.init, jax.random.key(0), jnp.zeros(OBS)))
    x = normal(7, OBS)
    np.testing.assert_allclose(
        jax.jit(net.apply)(params, x), by_hand.mlp(params, x), rtol=1e-4, atol=1e-5
    )


def test_heads_have_the_shapes_that_the_losses_expect():
    nets = networks()
    params = jax.eval_shape(nets.zeros)
    obs, action = jnp.ones((5, 7, OBS)), jnp.ones((5, 7, ACTION))
    z = jnp.ones((5, 1, LATENT))
    features = jnp.ones((5, 9, OBS + ACTION + 1))

    def shapes(function, *arguments):
        return jax.tree.map(lambda x: x.shape, jax.eval_shape(function, *arguments))

    assert shapes(nets.q, params.q, obs, action, z) == (2, 5, 7)
    assert shapes(nets.v, params.v, obs, z) == (5, 7)
    assert shapes(nets.policy, params.policy, obs, z) == ((5, 7, ACTION),) * 2
    assert shapes(nets.encode, params.encoder, features) == (5, 9, STAT)


def test_q_is_each_critic_on_observation_action_and_latent():
    nets = networks()
    q = randomised(jax.eval_shape(nets.zeros).q)
    parts = [normal(6, width) for width in (OBS, ACTION, LATENT)]
    got = jax.jit(nets.q)(q, *parts)
    for i in range(2):
        one = jax.tree.map(lambda x: x[i], q)  # noqa: B023
        expected = by_hand.mlp(one, np.concatenate(parts, -1))[:, 0]
        np.testing.assert_allclose(got[i], expected, rtol=1e-3, atol=1e-4)


def test_twins_differ():
    kernels = initial().q["params"]["kernel_0"]
    assert np.min(np.abs(kernels[0] - kernels[1])) > 0


def test_seeds_differ():
    a, b = (initial(seed) for seed in (0, 1))
    for name in ("encoder", "q", "v", "policy"):
        kernels = [getattr(net, name)["params"]["kernel_0"] for net in (a, b)]
        assert np.max(np.abs(kernels[0] - kernels[1])) > 1e-3


def test_squash_is_a_change_of_variables():
    """Against distrax's tanh bijector and against finite differences of the cumulative."""
    mean = jnp.array([[0.3, -1.0], [1.0, 0.0]])
    log_std = jnp.array([[-0.5, 0.2], [-1.0, -2.0]])
    noise = jnp.array([[0.5, -0.2], [-1.0, 1.5]])
    action, log_density = jax.jit(squash)(mean, log_std, noise)
    np.testing.assert_allclose(action, np.tanh(mean + np.exp(log_std) * noise), rtol=1e-5)
    normal = distrax.MultivariateNormalDiag(mean, jnp.exp(log_std))
    squashed = distrax.Transformed(normal, distrax.Block(distrax.Tanh(), 1))
    expected = jax.jit(squashed.log_prob)(action)
    np.testing.assert_allclose(log_density, expected, rtol=1e-3, atol=1e-3)
    a, m, s = (np.float64(x) for x in (action, mean, np.exp(log_std)))
    gaussian = -0.5 * ((np.arctanh(a) - m) / s) ** 2 - np.log(s) - 0.5 * np.log(2 * np.pi)
    expected = np.sum(gaussian - np.log1p(-(a**2)), axis=-1)
    np.testing.assert_allclose(log_density, expected, rtol=1e-3, atol=1e-3)


def test_squash_stays_finite_and_differentiable_where_tanh_saturates():
    def total(mean):
        action, log_density = squash(mean, jnp.zeros(2), jnp.ones(2))
        return jnp.sum(action) + log_density

    value, grad = jax.jit(jax.value_and_grad(total))(jnp.array([50.0, -50.0]))
    assert np.isfinite(value)
    assert np.all(np.isfinite(grad))


@pytest.mark.parametrize(("bias", "expected"), [(100.0, 2.0), (-100.0, -20.0), (0.5, 0.5)])
def test_log_std_is_clipped(bias, expected):
    assert LOG_STD_RANGE == (-20.0, 2.0)
    nets = networks()
    shapes = jax.eval_shape(nets.zeros).policy
    params = jax.tree.map(lambda x: jnp.zeros(x.shape), shapes)
    params["params"]["bias_head"] = jnp.array([3.0, 4.0, bias, bias])
    mean, log_std = nets.policy(params, jnp.ones(OBS), jnp.ones(LATENT))
    np.testing.assert_allclose(mean, [3.0, 4.0])
    np.testing.assert_allclose(log_std, expected)


def test_he_initialisation_has_its_scale():
    layers = initial_layers("v", width=256, depth=3)
    for layer, fan_in in ((0, OBS + LATENT), (1, 256), (2, 256)):
        kernel = layers[f"kernel_{layer}"]
        assert kernel.shape == (fan_in, 256)
        np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / fan_in), rtol=0.1)
        np.testing.assert_array_equal(layers[f"bias_{layer}"], 0.0)
    np.testing.assert_allclose(np.std(layers["kernel_head"]), np.sqrt(1 / 256), rtol=0.2)


def test_stacked_twins_and_normed_encoder_have_the_scale_of_one_network():
    params = initial(width=256, encoder_width=256, encoder_norm=True)
    for name in ("q", "encoder"):
        kernel = getattr(params, name)["params"]["kernel_1"]
        np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / 256), rtol=0.05)
    norm = params.encoder["params"]["norm_0"]
    np.testing.assert_array_equal(norm["scale"], 1.0)
    np.testing.assert_array_equal(norm["bias"], 0.0)


def test_pearl_initialisation_has_its_scale():
    """Uniform in +-1/sqrt(fan_out), biases 0.1, heads in +-3e-3: the public code's choices."""
    layers = initial_layers("v", scheme="pearl", width=256, depth=3)
    for layer in range(3):
        kernel = np.abs(layers[f"kernel_{layer}"])
        assert 0.95 / 16 < np.max(kernel) <= 1 / 16
        np.testing.assert_allclose(np.mean(kernel), 0.5 / 16, rtol=0.05)
        np.testing.assert_allclose(layers[f"bias_{layer}"], 0.1)
    assert 2.8e-3 < np.max(np.abs(layers["kernel_head"])) <= 3e-3
    np.testing.assert_array_equal(layers["bias_head"], 0.0)


def test_fresh_policy_is_near_zero_and_wide():
    nets = networks(width=256, depth=3)
    params = {"params": initial_layers("policy", width=256, depth=3)}
    np.testing.assert_allclose(np.std(params["params"]["kernel_head"]), 0.1 / 16, rtol=0.2)
    mean, log_std = jax.jit(nets.policy)(params, normal(200, OBS), jnp.zeros((1, LATENT)))
    assert np.mean(np.abs(mean)) < 0.3
    assert np.mean(np.abs(log_std)) < 0.3


def test_a_wrong_shape_raises():
    with pytest.raises(TypeCheckError, match="noise"):
        squash(jnp.zeros((5, 2)), jnp.zeros((5, 2)), jnp.zeros((4, 2)))
    with pytest.raises(TypeCheckError, match="action"):
        networks().q({}, jnp.zeros((5, OBS)), jnp.zeros((5, ACTION + 1)), jnp.zeros(LATENT))
