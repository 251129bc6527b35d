"""One update against the public PyTorch implementation of PEARL, number by number.

The files under tests/data hold one update each on random data (weights, batch and noise before;
losses, gradients and weights after). ``STRUCTLAT_PARITY_FILE`` adds one more file.
"""

import os
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

from structlat_jax.algos import pearl, pearl_sac
from structlat_jax.config import Structure
from structlat_jax.data.batches import Batch, Context
from structlat_jax.latents import latent_space
from structlat_jax.nets.networks import AgentParams, make_networks
from structlat_jax.shapes import Transition

EXTRA = os.environ.get("STRUCTLAT_PARITY_FILE")
FILES = sorted((Path(__file__).parents[1] / "data").glob("pearl_update_*.npz")) + (
    [EXTRA] if EXTRA else []
)
every_file = pytest.mark.parametrize(
    "path",
    # One is always tried; each is a program of its own, which takes long to compile.
    [FILES[0], *(pytest.param(path, marks=pytest.mark.slow) for path in FILES[1:])],
    ids=lambda path: Path(path).stem,
)


def layers(data, prefix):
    """A network of the file in flax's names; the policy's two heads become one."""
    hidden = sum(f"{prefix}/{i}/w" in data for i in range(20)) - 1
    heads = [f"{prefix}/{hidden}"] + (
        [f"{prefix}/log_std"] if f"{prefix}/log_std/w" in data else []
    )
    out = {f"kernel_{i}": data[f"{prefix}/{i}/w"] for i in range(hidden)}
    out |= {f"bias_{i}": data[f"{prefix}/{i}/b"] for i in range(hidden)}
    out["kernel_head"] = np.concatenate([data[f"{head}/w"] for head in heads], axis=-1)
    out["bias_head"] = np.concatenate([data[f"{head}/b"] for head in heads], axis=-1)
    return {"params": out}


def agent_params(data, when):
    """``AgentParams`` of the weights ``before`` or ``after``, or of the gradients (``grad``)."""
    net = {name: layers(data, f"{when}/{name}") for name in ("encoder", "q1", "q2", "v", "policy")}
    target = layers(data, f"{when}/target_v") if when != "grad" else None
    twins = jax.tree.map(lambda *x: np.stack(x), net["q1"], net["q2"])
    return AgentParams(net["encoder"], twins, net["v"], target, net["policy"])


def batch_of(data):
    """The file's batch; its context has the reward already, its policy noise is flat."""
    tasks, size, action_dim = data["act"].shape
    rew, term = data["rew"][..., 0], data["term"][..., 0]
    t = Transition(data["obs"], data["act"], np.full_like(rew, np.nan), rew, data["next_obs"], term)
    context = Context(
        features=data["context"],
        length=np.full(tasks, data["context"].shape[1]),
        owners=np.eye(tasks, dtype=np.float32),  # a task's context is one long episode
        failed=np.zeros(tasks, np.float32),
    )
    fields = {
        "transitions": t,
        "start": data["obs"][:, 0],
        "context": context,
        "latent_noise": data["eps_z"],
        "action_noise": data["eps_pi"].reshape(tasks, size, action_dim),
        "kl_key": jax.random.key(0),
    }
    return Batch(**fields)


def coefficients_of(data):
    shared = {k: float(data[k]) for k in ("discount", "tau", "reward_scale", "mean_reg", "std_reg")}
    lr, kl_weight = float(data["lr"]), float(data["kl_lambda"])
    shared |= {"lr": lr, "encoder_lr": lr, "kl_weight": kl_weight, "entropy_weight": 1.0}
    beyond_pearl = set(pearl_sac.Coefficients._fields) - set(shared)
    return pearl_sac.Coefficients(**shared, **dict.fromkeys(beyond_pearl, 0.0))


@cache
def load(path):
    with np.load(path) as file:
        return dict(file)


@cache
def setup(path):
    """Networks, latent space, parameters, batch and coefficients of a file."""
    data = load(path)
    structure = Structure(
        width=data["before/v/0/b"].size,
        encoder_width=data["before/encoder/0/b"].size,
        depth=3,
        encoder_depth=3,
        encoder_norm=False,
    )
    options = {"precision": "softplus", "prior_factor": False}
    space = latent_space(f"gau:{data['eps_z'].shape[-1]}", **options)
    obs_dim, action_dim = data["obs"].shape[-1], data["act"].shape[-1]
    networks = make_networks(structure, obs_dim, action_dim, space.dim, space.stat_dim)
    return networks, space, agent_params(data, "before"), batch_of(data), coefficients_of(data)


@cache
def computed(path):
    """What our update makes of a file, in one program: new parameters, losses, what the critics'
    loss hands on, and the gradients of every loss, each at the parameters that it saw."""
    networks, space, params, batch, c = setup(path)
    actor = pearl.actor_critic(networks)

    def run(params, batch):
        new, _, losses = pearl_sac.update(
            actor, space, params, pearl_sac.init_optimisers(params), batch, c
        )
        (encoder, q), aux = jax.grad(pearl_sac.critic_loss, has_aux=True)(
            (params.encoder, params.q), params, actor, space, batch, c
        )
        policy, (log_pi, min_q) = jax.grad(pearl_sac.policy_loss, has_aux=True)(
            params.policy, new.q, networks, batch, aux.z, c
        )
        obs = batch.transitions.obs
        v = jax.grad(pearl_sac.value_loss)(params.v, networks, obs, aux.z, min_q - log_pi)
        return new, losses, aux, AgentParams(encoder, q, v, None, policy)

    return jax.device_get(jax.jit(run)(params, batch))


def relative_error(got, expected):
    """Of a whole array: largest difference over largest size."""
    scale = np.max(np.abs(expected))
    return np.max(np.abs(np.asarray(got) - expected)) / max(scale, 1e-12)


def worst(got, expected):
    """The largest relative error over the arrays of a tree, each by its own scale."""
    errors = jax.tree.map(relative_error, got, expected)
    return max(jax.tree.leaves(errors))


@every_file
def test_posterior_and_sample(path):
    data, (_, _, aux, _) = load(path), computed(path)
    (q,) = aux.posterior
    assert relative_error(q.mean, data["z_mean"]) < 1e-4
    assert relative_error(q.variance, data["z_var"]) < 1e-4
    assert relative_error(aux.z, data["z"]) < 1e-4


@every_file
def test_losses(path):
    """The file's ``kl_loss`` has its weight in it, and is a sum over tasks."""
    data, (_, losses, *_) = load(path), computed(path)
    kl_weight, tasks = float(data["kl_lambda"]), data["obs"].shape[0]
    for name, got in {
        "kl_loss": kl_weight * tasks * losses.kl.sum(),
        "q_loss": losses.q,
        "v_loss": losses.v,
        "policy_loss": losses.policy,
    }.items():
        assert relative_error(got, data[name]) < 1e-4, name


@every_file
@pytest.mark.parametrize("name", ["encoder", "q", "v", "policy"])
def test_gradients(path, name):
    expected = agent_params(load(path), "grad")
    assert worst(getattr(computed(path)[3], name), getattr(expected, name)) < 1e-3


@every_file
@pytest.mark.parametrize("name", ["encoder", "q", "v", "target_v", "policy"])
def test_weights_after_the_step(path, name):
    """The weights, and the step itself: one Adam step is small beside a weight."""
    before, after = (getattr(agent_params(load(path), when), name) for when in ("before", "after"))
    got = getattr(computed(path)[0], name)
    assert worst(got, after) < 1e-3
    moved, expected = (jax.tree.map(lambda x, y: x - y, end, before) for end in (got, after))
    assert worst(moved, expected) < 1e-2
