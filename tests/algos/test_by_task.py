"""Posteriors of training tasks' own: the loss term by term, what each step may touch, imagined
tasks, and what the encoder learns from."""

import functools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import quick_compile, setup

from structlat_jax.algos import by_task, imagined_tasks, known_tasks, pearl, pearl_sac
from structlat_jax.data import batches
from structlat_jax.inference import additive, decoder
from structlat_jax.train.learn import init, meta_step

OWN = setup("ending", posterior="task", latent="dir:1x3,gau:1", next_obs_in_context=True)
NONE = setup(
    *("ending",),
    posterior="task",
    latent="dir:1x3,gau:1",
    next_obs_in_context=True,
    imagined_tasks=False,
)
S, SPACE, NETWORKS = OWN.structure, OWN.space, OWN.networks
MODEL = decoder.make(S.decoder_width, OWN.env.obs_dim, OWN.env.action_dim, SPACE.dim)


def static(imagined, changes=False):
    known = known_tasks.by_number(S.train_tasks, SPACE.stat_dim)
    actor = pearl.actor_critic(NETWORKS)
    return by_task.Static(actor, SPACE, MODEL, known, imagined, S.next_obs_in_context, changes)


def coefficients(**changes):
    """Arrays all of them: a number would be a program of its own."""
    found = pearl.coefficients_at(OWN.config.hyper, jnp.int32(7))
    return jax.tree.map(jnp.float32, found._replace(**changes))


@cache
def trained():
    """A state whose replay holds something and whose table is not all zero."""
    with quick_compile():
        run = jax.jit(lambda key: meta_step(OWN, OWN.config.hyper, init(OWN, key))[0])
        return run(jax.random.key(0))


@cache
def batch(seed=0):
    hyper = OWN.config.hyper
    with quick_compile():
        sampler = batches.sampler(OWN, hyper, batches.view(OWN, hyper, trained().replay))
        return jax.jit(lambda key: sampler.make(sampler.draw(key)))(jax.random.key(seed))


def updated(params, one, c, imagined=True, changes=False):
    with quick_compile():
        return program(imagined, changes)(params, by_task.init_optimisers(params), one, c)


@cache
def program(imagined, changes):
    return jax.jit(functools.partial(by_task.update, static(imagined, changes)))


def changed(before, after):
    """Names of the networks whose parameters are not what they were."""
    return {
        name
        for name in before._fields
        if any(
            np.any(x != y)
            for x, y in zip(
                jax.tree.leaves(getattr(before, name)),
                jax.tree.leaves(getattr(after, name)),
                strict=True,
            )
        )
    }


def bellman(params, t, z, c):
    """Of tasks ``[T]``, critic by critic."""
    v = NETWORKS.v(params.target_v, t.next_obs, z[:, None])
    target = c.reward_scale * t.train_reward + (1.0 - t.done) * c.discount * v
    q = NETWORKS.q(params.q, t.obs, t.action, z[:, None])
    return sum(jnp.mean((q[i] - target) ** 2) for i in range(2))


def posterior_and_z(params, one):
    raw = 10.0 * params.table["rows"][one.tasks]
    posterior = SPACE.posterior(SPACE.evidence(raw))
    return posterior, SPACE.transform(posterior, one.latent_noise)


@jax.jit
def by_hand(params, one, c):
    """What the losses are to be, as one program, which compiles in a fraction of the time."""
    scale = decoder.track(params.scale, one.transitions)
    posterior, z = posterior_and_z(params, one)
    given = (MODEL, params.decoder, scale, one.transitions, z, one.imagined.z)
    there = imagined_tasks.imagine(*given, moves=S.next_obs_in_context)
    found = decoder.log_density(MODEL, params.decoder, scale, one.transitions, z[:, None])
    return {
        "q": bellman(params, one.transitions, z, c),
        "q_imagined": bellman(params, there, one.imagined.z, c),
        "kl": jnp.mean(SPACE.kl(posterior), axis=0),
        **{f"decoder_{name}": -jnp.mean(x) for name, x in found._asdict().items()},
    }


def test_the_losses_by_hand():
    params, one, c = trained().params, batch(), coefficients()
    _, _, losses = updated(params, one, c)
    expected = by_hand(params, one, c)
    assert {"decoder_reward", "decoder_shaped", "decoder_change"} < set(expected)
    for name, value in expected.items():
        atol = 1e-5 if name.startswith("decoder_") else 0.0
        np.testing.assert_allclose(getattr(losses, name), value, rtol=1e-4, atol=atol, err_msg=name)


def test_the_encoder_learns_from_the_tasks_and_from_what_lies_between_them_and_the_prior():
    params, one, c = trained().params, batch(), coefficients()
    _, _, losses = updated(params, one, c)
    scale = decoder.track(params.scale, one.transitions)
    _, z = posterior_and_z(params, one)
    between = z + one.imagined.blend[:, None] ** 2 * (one.imagined.z - z)
    given = (MODEL, params.decoder, scale, one.context, between, one.imagined.paid)
    features = [
        one.context.features,
        additive.context_features(imagined_tasks.simulate(*given), c.context_reward_scale, True),
    ]
    total = 0.0
    for own, target in zip(features, (z, between), strict=True):
        posterior = additive.infer_contexts(
            *(NETWORKS, SPACE, params.encoder, own, one.context.owners, one.context.length)
        )
        total += -np.mean(np.sum(SPACE.log_prob(posterior, target), axis=-1))
    np.testing.assert_allclose(losses.encoder, total, rtol=1e-4)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"encoder_lr": 0.0}, {"q", "v", "target_v", "policy", "decoder", "scale"}),
        ({"lr": 0.0}, {"encoder", "table", "scale"}),
        ({"lr": 0.0, "encoder_lr": 0.0, "tau": 0.0}, {"scale"}),
    ],
)
def test_what_a_step_touches(rates, expected):
    params = trained().params
    after, _, _ = updated(params, batch(), coefficients(**rates))
    assert changed(params, after) - {"target_v"} == expected - {"target_v"}


def test_rows_of_other_tasks_stay():
    params, one = trained().params, batch()
    after, _, _ = updated(params, one, coefficients())
    moved = np.any(np.asarray(after.table["rows"] != params.table["rows"]), axis=1)
    assert set(np.flatnonzero(moved)) == set(np.asarray(one.tasks).tolist())


def test_only_its_weight_lets_the_decoder_into_the_table():
    params, one = trained().params, batch()
    loose, tied = (updated(params, one, coefficients(decoder_weight=w))[0] for w in (0.0, 10.0))
    assert changed(loose, tied) == {"table"}


def test_blocks_behind_the_first_are_asked_for_changes():
    params, one = trained().params, batch()

    def rows(weight, changes=True, **more):
        c = coefficients(change_weight=weight, **more)
        return np.asarray(updated(params, one, c, changes=changes)[0].table["rows"])

    first = SPACE.blocks[0].stat_dim
    none, some = rows(0.0), rows(9.0)
    np.testing.assert_array_equal(none[:, :first], some[:, :first])
    assert np.any(none[:, first:] != some[:, first:])
    np.testing.assert_array_equal(rows(0.0, False), rows(9.0, False))
    # What is closed is asked all the same, and hears nothing of anything else but the KL.
    shut = {"open_blocks": 1, "kl_weight": 0.0, "aggregate_weight": 9.0, "decoder_weight": 0.0}
    silent, asked = rows(0.0, **shut), rows(9.0, **shut)
    np.testing.assert_array_equal(silent[:, first:], params.table["rows"][:, first:])
    assert np.any(asked[:, first:] != silent[:, first:])


def test_what_is_asked_changes_no_loss_and_no_decoder():
    params, one = trained().params, batch()
    without, asked = (
        updated(params, one, coefficients(change_weight=weight), changes=True)
        for weight in (0.0, 9.0)
    )
    assert changed(without[0], asked[0]) == {"table"}
    jax.tree.map(np.testing.assert_array_equal, without[2], asked[2])
    c = coefficients(change_weight=0.0, decoder_weight=0.0)
    plain = updated(params, one, c)[0]
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
        *(plain, updated(params, one, c, changes=True)[0]),
    )


def test_where_changes_are_asked_for_their_density_is_not_heard():
    params, one = trained().params, batch()
    _, z = posterior_and_z(params, one)
    c = coefficients(decoder_weight=9.0)

    def heard(changes):
        def density(z):
            given = (params.decoder, params.scale, static(True, changes), one.transitions, z, c)
            return by_task._fit_decoder(*given)[0].change

        with quick_compile():
            return np.any(np.asarray(jax.jit(jax.grad(density))(z)) != 0)

    assert heard(False)
    assert not heard(True)


def test_the_encoder_has_no_say_in_what_is_learned():
    params, one = trained().params, batch()
    other = params._replace(encoder=jax.tree.map(lambda x: x + 0.1, params.encoder))
    one_way, another = (updated(p, one, coefficients())[0] for p in (params, other))
    assert changed(one_way, another) == {"encoder"}


@pytest.mark.slow
def test_none_imagined_is_what_real_tasks_teach():
    params, one = trained().params, batch()
    without, _, losses = updated(params, one, coefficients(), imagined=False)
    assert losses.q_imagined == 0
    again = one._replace(
        imagined=one.imagined._replace(action=one.imagined.action + 1.0, z=one.imagined.z)
    )
    assert changed(updated(params, again, coefficients(), imagined=False)[0], without) == set()
    grown, _, _ = updated(params, one, coefficients())
    assert {"q", "v", "policy"} <= changed(grown, without)


def test_critics_and_policy_are_pearls_where_nobody_is_imagined():
    """With the table's z in place of the encoder's, the same equations."""
    params, one, c = trained().params, batch(), coefficients(kl_weight=0.0, silent_weight=0.0)
    after, _, losses = updated(params, one, c, imagined=False)
    _, z = posterior_and_z(params, one)
    agent = pearl_sac.AgentParams(*(getattr(params, x) for x in pearl_sac.AgentParams._fields))
    q = after.q
    with quick_compile():
        made = jax.jit(
            lambda p: pearl_sac.improve(
                NETWORKS, p, q, pearl_sac.init_optimisers(p), one, jax.lax.stop_gradient(z), c
            )
        )(agent)
    for name in ("v", "policy", "target_v"):
        for ours, its in zip(
            jax.tree.leaves(getattr(after, name)), jax.tree.leaves(getattr(made, name)), strict=True
        ):
            np.testing.assert_allclose(ours, its, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses.policy, made.loss_policy, rtol=1e-4)


@pytest.mark.slow
def test_half_of_the_posterior_episodes_act_as_if_the_task_were_known():
    own = setup("line", posterior="task", posterior_episodes=4, latent="gau:1")
    with quick_compile():
        state = jax.jit(lambda key: init(own, key))(jax.random.key(0))
        step = jax.jit(lambda s: meta_step(own, own.config.hyper, s)[0])
        state = step(state)
        rows = jnp.full_like(state.params.table["rows"], 1.0).at[:, 0].set(7.0)  # mean 70, sharp
        known = state._replace(params=state.params._replace(table={"rows": rows}))
        from structlat_jax.train import collect

        z = jax.jit(
            lambda s: collect._posterior_latents(own, own.config.hyper, s, jax.random.key(1))
        )(known)
    assert z.shape == (own.structure.train_tasks, 4, 1)
    assert np.all(z[:, :2] > 10.0)
    assert np.all(np.abs(z[:, 2:]) < 10.0)


def test_a_closed_block_is_drawn_from_the_prior_and_learns_from_the_kl_alone():
    params, one = trained().params, batch()
    closed, open_ = (
        coefficients(open_blocks=n, kl_weight=0.0, aggregate_weight=9.0) for n in (1, 2)
    )
    width = SPACE.blocks[0].stat_dim
    moved = {}
    for name, c in {"closed": closed, "open": open_}.items():
        after, _, losses = updated(params, one, c)
        rows = np.asarray(after.table["rows"] - params.table["rows"])
        moved[name] = np.abs(rows[:, :width]).max() > 0, np.abs(rows[:, width:]).max() > 0
    assert moved == {"closed": (True, False), "open": (True, True)}

    _, z = posterior_and_z(params, one)
    z = jnp.where(jnp.arange(SPACE.dim) < SPACE.blocks[0].dim, z, one.imagined.z)
    _, _, losses = updated(params, one, closed)
    expected = bellman(params, one.transitions, z, closed)
    np.testing.assert_allclose(losses.q, expected, rtol=1e-4)
