"""Floating-point operations of one update, counted from the shapes.

A product of ``[rows, a]`` and ``[a, b]`` is ``2 rows a b`` operations. A layer's backward pass has
two more of them, one for its weights and one for its input; the first layer's input needs none
unless something trained lies before it. Everything that is not a product is left out.
"""

from structlat_jax.data.batches import context_sampler
from structlat_jax.train.setup import Setup


def mlp(rows: int, inputs: int, width: int, depth: int, out: int) -> tuple[int, int]:
    """Operations of a forward pass, and of its first layer alone."""
    first = 2 * rows * inputs * width
    return first + 2 * rows * width * ((depth - 1) * width + out), first


def per_update(setup: Setup) -> int:
    """Operations of the products in one `sac.update`."""
    s, env, space = setup.config.structure, setup.env, setup.space
    rows = s.meta_batch * s.batch_size
    context = context_sampler(setup, s.meta_batch).episodes * env.horizon
    features = setup.networks.widths[0]
    obs, pair = env.obs_dim, env.obs_dim + env.action_dim

    def network(inputs: int, out: int) -> tuple[int, int]:
        # z is multiplied once per task, not once per transition.
        whole, first = mlp(rows, inputs, s.width, s.depth, out)
        shared = 2 * s.meta_batch * space.dim * s.width
        return whole + shared, first + shared

    encoder, encoder_first = mlp(
        context, features, s.encoder_width, s.encoder_depth, space.stat_dim
    )
    q, _ = network(pair, 1)
    v, v_first = network(obs, 1)
    policy, policy_first = network(obs, 2 * env.action_dim)
    trained = (
        3 * encoder - encoder_first  # nothing is trained before the encoder
        + 2 * (3 * q - 2 * rows * pair * s.width)  # the critics' gradient reaches z, not (s, a)
        + 3 * v - v_first
        + 3 * policy - policy_first
    )  # fmt: skip
    fixed = v + 2 * 2 * q  # target value; both critics under the policy, forward and to the action
    return trained + fixed
