"""From our arrays to the baseline's tensors, so that both start from the same state."""

from typing import Any

import jax
import numpy as np
import torch
from torch import nn

from benchmarks.torch_pearl.agent import Agent, Batch
from benchmarks.torch_pearl.replay import Replay
from structlat_jax.data import batches
from structlat_jax.nets.networks import AgentParams
from structlat_jax.train.setup import Setup
from structlat_jax.train.state import TrainState


def use_device() -> None:
    """Has new tensors go where our arrays are: to the GPU if both libraries have one."""
    shared = jax.default_backend() == "gpu" and torch.cuda.is_available()
    torch.set_default_device("cuda" if shared else "cpu")


def tensor(x: Any) -> torch.Tensor:
    """A copy of an array, on the default device."""
    return torch.from_numpy(np.array(x)).to(torch.get_default_device())


def load(agent: Agent, params: AgentParams) -> None:
    """Copies our parameters into the baseline's networks."""
    pairs = [(agent.v, params.v), (agent.policy, params.policy)]
    if hasattr(params, "encoder"):  # who is told the task has none
        pairs.append((agent.encoder, params.encoder))
    pairs += [
        (net, jax.tree.map(lambda x, i=i: x[i], params.q))
        for i, net in enumerate((agent.q1, agent.q2))
    ]
    pairs.append((agent.target_v, params.target_v))
    for network, ours in pairs:
        weights = leaves(ours)
        with torch.no_grad():
            for own, weight in zip(network.parameters(), weights, strict=True):
                own.copy_(tensor(weight))


def leaves(params: Any) -> list[np.ndarray]:
    """Our parameters of one network in the order and orientation of ``nn.Sequential``'s."""
    own, found = params["params"], []
    layers = [str(i) for i in range(sum(name.startswith("bias_") for name in own) - 1)]
    for name in [*layers, "head"]:
        found += [np.asarray(own[f"kernel_{name}"]).T, np.asarray(own[f"bias_{name}"])]
        if f"norm_{name}" in own:
            found += [np.asarray(own[f"norm_{name}"][part]) for part in ("scale", "bias")]
    return found


def parameters(network: nn.Module) -> list[np.ndarray]:
    """The baseline's parameters, to be compared with `leaves`."""
    return [p.detach().cpu().numpy() for p in network.parameters()]


def batch(ours: batches.Batch) -> Batch:
    """Our batch as the baseline's."""
    t, c = ours.transitions, ours.context
    arrays = (t.obs, t.action, t.reward, t.train_reward, t.next_obs, t.done)
    arrays += (c.features, c.length, c.owners, c.failed, ours.latent_noise, ours.action_noise)
    arrays += (ours.tasks,)
    return Batch(*map(tensor, arrays))


def replay(setup: Setup, state: TrainState) -> Replay:
    """Our replay as the baseline's."""
    rings = state.replay
    arrays = map(tensor, (rings.rows, rings.length, rings.success))
    return Replay(setup, *arrays, int(rings.written))


def store(agent: Agent, like: AgentParams) -> AgentParams:
    """The baseline's networks as our parameters, which give the structure; the inverse of
    `load`."""
    q = [_stored(net, like.q) for net in (agent.q1, agent.q2)]
    return AgentParams(
        encoder=_stored(agent.encoder, like.encoder),
        q=jax.tree.map(lambda *x: np.stack(x), *q),
        v=_stored(agent.v, like.v),
        target_v=_stored(agent.target_v, like.target_v),
        policy=_stored(agent.policy, like.policy),
    )


def _stored(network: nn.Module, like: Any) -> Any:
    weights = iter(parameters(network))
    own = like["params"]
    found: dict[str, Any] = {}
    layers = [str(i) for i in range(sum(name.startswith("bias_") for name in own) - 1)]
    for name in [*layers, "head"]:
        found[f"kernel_{name}"] = next(weights).T.copy()
        found[f"bias_{name}"] = next(weights).copy()
        if f"norm_{name}" in own:
            found[f"norm_{name}"] = {part: next(weights).copy() for part in ("scale", "bias")}
    return {"params": found}
