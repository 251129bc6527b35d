"""Tasks that nobody has met: what is imagined of transitions and of contexts."""

import jax
import jax.numpy as jnp
import numpy as np
from test_by_task import MODEL, batch, posterior_and_z, trained

from structlat_jax.algos import imagined_tasks


def imagined(z=None, moves=True):
    """Of one batch: what was seen, what is imagined, and what the decoder says of either task."""
    params, one = trained().params, batch()
    t, own = one.transitions, posterior_and_z(params, one)[1]
    other = one.imagined.z if z is None else z
    model = (MODEL, params.decoder, params.scale)
    said = [MODEL.predict(*model[1:], t.obs, t.action, x[:, None]) for x in (own, other)]
    return t, imagined_tasks.imagine(*model, t, own, other, moves), *said


def test_imagined_tasks_pay_and_move_as_the_decoder_says_that_they_differ():
    t, found, here, there = imagined()
    for name in ("obs", "action", "done", "reward"):
        np.testing.assert_array_equal(getattr(found, name), getattr(t, name))
    moved = there.change - here.change
    assert np.abs(moved).max() > 1e-3
    np.testing.assert_allclose(found.next_obs - t.next_obs, moved, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.train_reward, there.shaped, rtol=1e-4, atol=1e-5)


def test_where_all_tasks_move_alike_imagined_ones_move_as_was_seen():
    t, found, _, there = imagined(moves=False)
    np.testing.assert_array_equal(found.next_obs, t.next_obs)
    np.testing.assert_allclose(found.train_reward, there.shaped, rtol=1e-4, atol=1e-5)


def test_a_task_imagined_as_itself_moves_as_it_moved():
    own = posterior_and_z(trained().params, batch())[1]
    t, found, _, _ = imagined(own)
    np.testing.assert_allclose(found.next_obs, t.next_obs, atol=1e-6)


def test_simulated_contexts_belong_to_their_tasks():
    params, context = trained().params, batch().context
    z = jnp.stack([jnp.array([1.0, 0.0, 0.0, -3.0]), jnp.array([0.0, 0.0, 1.0, 3.0])])
    always, never = (jnp.full(context.transitions.reward.shape, u) for u in (0.0, 1.0))
    given = (MODEL, params.decoder, params.scale, context, z)
    paid, unpaid = imagined_tasks.simulate(*given, always), imagined_tasks.simulate(*given, never)
    assert np.all(unpaid.reward == 0)
    owners = np.asarray(context.owners)
    for episode in range(owners.shape[1]):
        if not owners[:, episode].any():
            continue
        own = z[np.argmax(owners[:, episode])]
        t = jax.tree.map(lambda x, e=episode: x[e], context.transitions)
        p = MODEL.predict(params.decoder, params.scale, t.obs, t.action, own)
        np.testing.assert_allclose(paid.reward[episode], p.reward, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(paid.next_obs[episode], t.obs + p.change, rtol=1e-4, atol=1e-5)
