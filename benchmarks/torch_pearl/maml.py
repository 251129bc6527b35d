"""MAML in PyTorch, as `structlat_jax.algos.maml`: one step along the policy gradient per trial, all
trials at once by ``torch.func``, and the clipped objective behind it through that step."""

import math
from typing import NamedTuple

import torch
from torch.func import functional_call, grad, vmap

from benchmarks.torch_pearl import convert
from benchmarks.torch_pearl.agent import mlp
from structlat_jax.algos.base import Trials
from structlat_jax.algos.maml import MetaParams
from structlat_jax.algos.ppo import LARGEST_GRADIENT
from structlat_jax.train.setup import Setup

_LARGEST = 1.0 - 1e-6  # of an action whose draw is told from it


class Tried(NamedTuple):
    """Episodes of trials, ``[M, P, H]``."""

    obs: torch.Tensor
    drawn: torch.Tensor
    reward: torch.Tensor
    taken: torch.Tensor


class Behind(NamedTuple):
    """Trials as updates see them; the fields of `structlat_jax.algos.maml.Behind`."""

    tried: Tried
    after: Tried
    log_prob: torch.Tensor
    advantage: torch.Tensor

    def some(self, chosen: torch.Tensor) -> "Behind":
        """The chosen trials."""
        parts = (Tried(*(x[chosen] for x in part)) for part in (self.tried, self.after))
        return Behind(*parts, self.log_prob[chosen], self.advantage[chosen])


class Maml:
    """The policy with its optimiser; `learn` makes the updates of one meta-step."""

    def __init__(self, setup: Setup, params: MetaParams):
        s, env = setup.structure, setup.env
        self.setup, self.hyper = setup, setup.config.hyper
        self.net = mlp(env.obs_dim, s.width, s.depth, env.action_dim)
        with torch.no_grad():
            weights = convert.leaves(params.policy["net"])
            for own, weight in zip(self.net.parameters(), weights, strict=True):
                own.copy_(convert.tensor(weight))
        self.log_std = convert.tensor(params.policy["log_std"]).requires_grad_(True)
        self.policy = {**dict(self.net.named_parameters()), "log_std": self.log_std}
        self.optimiser = torch.optim.Adam(self.policy.values(), lr=self.hyper.lr)

    def learn(self, seen: Behind, entropy_weight: float) -> list[float]:
        """All updates of a meta-step; the policy's loss in each."""
        s, trials = self.setup.structure, len(seen.log_prob)
        found: list[float] = []
        while len(found) < s.updates_per_step:
            order = torch.randperm(trials)[: trials // s.minibatches * s.minibatches]
            chunks = order.chunk(s.minibatches)
            found += [self.update(seen.some(chosen), entropy_weight) for chosen in chunks]
        return found

    def update(self, seen: Behind, entropy_weight: float) -> float:
        """One update; the policy's loss."""
        whole, loss = self.objective(seen, entropy_weight)
        self.optimiser.zero_grad(set_to_none=True)
        whole.backward()
        torch.nn.utils.clip_grad_norm_(list(self.policy.values()), LARGEST_GRADIENT)
        self.optimiser.step()
        return loss.item()

    def objective(self, seen: Behind, entropy_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
        """What an update makes less, and the policy's part of it."""
        gained = vmap(self._gained, in_dims=(None, *[0] * 4))(self.policy, *seen)
        loss = -_mean(gained, seen.after.taken)
        entropy = (self._log_std(self.policy) + 0.5 * math.log(2 * math.pi * math.e)).sum()
        return loss - entropy_weight * entropy, loss

    def behind(self, trials: Trials) -> Behind:
        """Trials ``[M]`` of ours as updates see them."""
        t, first = trials.episodes.transitions, self.setup.structure.adapt_episodes
        obs, action, paid, shaped, noise = map(
            convert.tensor, (t.obs, t.action, t.reward, t.train_reward, trials.noise)
        )
        length, explored = convert.tensor(trials.episodes.length), convert.tensor(trials.explored)
        counts = torch.arange(noise.shape[2]) < length[..., None]
        drawn = torch.arctanh(action.clamp(-_LARGEST, _LARGEST))
        tried = Tried(*(x[:, :first] for x in (obs, drawn, paid, counts)))
        share = self.hyper.shaped_share
        reward = share * shaped + (1.0 - share) * paid
        taken = (counts & ~explored[..., None])[:, first:]
        with torch.no_grad():
            given = (self.policy, tried, obs[:, first:], noise[:, first:])
            drawn, log_prob = vmap(self._drawn, in_dims=(None, 0, 0, 0))(*given)
            after = Tried(obs[:, first:], drawn, reward[:, first:], taken)
            return Behind(tried, after, log_prob, self._advantages(after.reward, taken))

    def _gained(self, policy, tried, after, log_prob, advantage) -> torch.Tensor:
        """``min(ratio A, clip(ratio) A)`` behind the step of one trial."""
        density = self._log_density(self._step(policy, tried), after.obs, after.drawn)
        ratio, clip = torch.exp(density - log_prob), self.hyper.clip
        return torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)

    def _drawn(self, policy, tried, obs, noise) -> tuple[torch.Tensor, torch.Tensor]:
        """What was drawn behind the step of one trial, and its log-density."""
        own = self._step(policy, tried)
        drawn = self._mean_action(own, obs) + self._log_std(own).exp() * noise
        return drawn, self._log_density(own, obs, drawn)

    def _step(self, policy: dict, tried: Tried) -> dict:
        """The policy after one step along its gradient."""
        gained = self._advantages(tried.reward[None], tried.taken[None])[0]

        def loss(policy):
            return -_mean(self._log_density(policy, tried.obs, tried.drawn) * gained, tried.taken)

        slope, lr = grad(loss)(policy), self.hyper.inner_lr
        return {name: policy[name] - lr * slope[name] for name in policy}

    def _log_density(self, policy: dict, obs, drawn) -> torch.Tensor:
        log_std = self._log_std(policy)
        apart = (drawn - self._mean_action(policy, obs)) / log_std.exp()
        return -(0.5 * apart**2 + log_std).sum(-1)

    def _mean_action(self, policy: dict, obs) -> torch.Tensor:
        return functional_call(self.net, {n: x for n, x in policy.items() if n != "log_std"}, obs)

    @staticmethod
    def _log_std(policy: dict) -> torch.Tensor:
        return policy["log_std"].clamp(-20.0, 2.0)

    def _advantages(self, reward: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        """Of trials ``[M, P, H]``: rewards to go less their mean over episodes, over their
        spread."""
        later, ahead = torch.zeros_like(reward[..., 0]), []
        for now in reversed((reward * taken).unbind(-1)):
            later = now + self.hyper.discount * later
            ahead.append(later)
        gone = torch.stack(ahead[::-1], -1) * taken
        count = taken.sum(1, keepdim=True).clamp(min=1)
        apart = (gone - gone.sum(1, keepdim=True) / count) * taken
        square = (apart**2).sum((1, 2)) / taken.sum((1, 2)).clamp(min=1)
        return apart / torch.sqrt(square + 1e-8)[:, None, None]


def _mean(x: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    return (x * taken).sum() / taken.sum().clamp(min=1)
