"""The actor-critics beside PEARL's in PyTorch: on beliefs, and told the task; and which one a
setup asks for."""

from typing import Any

import torch

from benchmarks.torch_pearl import convert
from benchmarks.torch_pearl.agent import Agent, Batch
from structlat_jax.algos.belief_sac import CUT, EMPTY
from structlat_jax.train.setup import Setup


class BeliefAgent(Agent):
    """As `structlat_jax.algos.belief_sac`: what stands for z is the belief, before a transition and
    behind it."""

    def __init__(self, setup: Setup):
        super().__init__(setup)
        self._next_obs = setup.structure.next_obs_in_context

    def describe(self, total: torch.Tensor) -> torch.Tensor:
        """A belief as the networks see it, from its evidence."""
        return torch.cat(
            [self.space.mean(self.space.posterior(total)), total / (1.0 + total.abs())], dim=-1
        )

    def thin(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Owners and lengths of the contexts, some of them empty and some episodes cut short."""
        kept = torch.rand(len(batch.owners), 1) >= EMPTY
        cut = torch.rand(len(batch.length)) < CUT
        shorter = torch.ceil(torch.rand(len(batch.length)) * batch.length).to(batch.length.dtype)
        return batch.owners * kept, torch.where(cut, shorter, batch.length)

    def learn_critics(self, batch: Batch, kl_weight: float) -> tuple[float, torch.Tensor]:
        """See `Agent.learn_critics`."""
        h, (owners, length) = self.hyper, self.thin(batch)
        (total,) = self.gather(batch.features, length, owners)
        given = self.describe(total)
        parts = [batch.obs, batch.action, h.context_reward_scale * batch.reward[..., None]]
        features = torch.cat(parts + ([batch.next_obs] if self._next_obs else []), -1)
        with torch.no_grad():
            later = self.describe(total[:, None] + self.space.evidence(self.encoder(features)))
        share = h.shaped_share
        paid = share * batch.train_reward + (1.0 - share) * batch.reward
        bellman = self.bellman(batch, given, later, paid)
        kl = self.space.kl(self.space.posterior(total)).sum()
        self._step(bellman + kl_weight * kl, self.opt_encoder, self.opt_q)
        return bellman.item(), given


class ToldAgent(Agent):
    """As `structlat_jax.algos.told_sac`: what stands for z is the ground truth of training tasks,
    ``[T, n]``."""

    def __init__(self, setup: Setup, truth: torch.Tensor):
        super().__init__(setup)
        self.truth = truth

    def learn_critics(self, batch: Batch, kl_weight: float) -> tuple[float, torch.Tensor]:
        """See `Agent.learn_critics`; no KL is weighed."""
        del kl_weight
        given = self.truth[batch.tasks]
        bellman = self.bellman(batch, given, given[:, None], batch.train_reward)
        self._step(bellman, self.opt_q)
        return bellman.item(), given


def make(setup: Setup, params: Any) -> Agent:
    """The baseline of a setup's algorithm, with our parameters.

    Raises:
      NotPorted: as `Agent`.
    """
    algorithm = setup.structure.algorithm
    if algorithm == "oracle":
        agent = ToldAgent(setup, convert.tensor(params.truth["tasks"]))
    else:
        agent = BeliefAgent(setup) if algorithm == "pearl-belief" else Agent(setup)
    convert.load(agent, params)
    return agent
