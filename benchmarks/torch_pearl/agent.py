"""The networks and the update of PEARL in PyTorch."""

import copy
from typing import NamedTuple

import torch
from torch import nn
from torch.distributions import Normal

from benchmarks.torch_pearl.latents import NotPorted, Space
from structlat_jax.config import Hyper
from structlat_jax.train.setup import Setup


class Batch(NamedTuple):
    """What an update consumes: the fields of `structlat_jax.data.batches.Batch`, unpacked."""

    obs: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    train_reward: torch.Tensor
    next_obs: torch.Tensor
    done: torch.Tensor
    features: torch.Tensor
    length: torch.Tensor
    owners: torch.Tensor
    failed: torch.Tensor
    latent_noise: torch.Tensor
    action_noise: torch.Tensor
    tasks: torch.Tensor


def mlp(inputs: int, width: int, depth: int, out: int, norm: bool = False) -> nn.Sequential:
    """ReLU layers and a linear head, with LayerNorm before each ReLU if ``norm``."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(nn.Linear(inputs, width))
        if norm:
            layers.append(nn.LayerNorm(width, eps=1e-6))
        layers.append(nn.ReLU())
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, out))


class Agent:
    """All networks with their optimisers; `update` is one PEARL update.

    Raises:
      NotPorted: if the setup asks for latents, or for a KL of them, that the baseline lacks.
    """

    def __init__(self, setup: Setup):
        s, h = setup.structure, setup.config.hyper
        if s.bridge != "projected" or s.kl != "bridge":
            raise NotPorted("the PyTorch baseline has the projected bridge and its KL only.")
        o, a = setup.env.obs_dim, setup.env.action_dim
        features = o + a + 1 + (o if s.next_obs_in_context else 0)
        self.hyper: Hyper = h
        self.space = Space(setup.space, s)
        z = setup.algorithm.given or setup.space.dim
        self.encoder = mlp(
            features, s.encoder_width, s.encoder_depth, setup.space.stat_dim, s.encoder_norm
        )
        self.q1, self.q2 = (mlp(o + a + z, s.width, s.depth, 1) for _ in range(2))
        self.v = mlp(o + z, s.width, s.depth, 1)
        self.target_v = copy.deepcopy(self.v).requires_grad_(False)
        self.policy = mlp(o + z, s.width, s.depth, 2 * a)
        self.critics = nn.ModuleList([self.q1, self.q2])
        self.opt_encoder = torch.optim.Adam(self.encoder.parameters(), lr=h.encoder_lr)
        self.opt_q = torch.optim.Adam(self.critics.parameters(), lr=h.lr)
        self.opt_v = torch.optim.Adam(self.v.parameters(), lr=h.lr)
        self.opt_policy = torch.optim.Adam(self.policy.parameters(), lr=h.lr)

    def gather(
        self, features: torch.Tensor, length: torch.Tensor, *owners: torch.Tensor
    ) -> list[torch.Tensor]:
        """The evidence for each choice of which episodes ``[E, H, features]`` count for whom."""
        within = torch.arange(features.shape[1]) < length[:, None]
        evidence = self.space.evidence(self.encoder(features)) * within[..., None]
        return [each @ evidence.sum(1) for each in owners]

    def act(
        self, obs: torch.Tensor, z: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Action and its log-density, mean and log-std before tanh."""
        mean, log_std = self.policy(torch.cat([obs, z], -1)).chunk(2, dim=-1)
        log_std = log_std.clamp(-20.0, 2.0)
        normal = Normal(mean, log_std.exp(), validate_args=False)
        before = mean + normal.scale * noise
        action = torch.tanh(before)
        log_pi = (normal.log_prob(before) - torch.log(1 - action**2 + 1e-6)).sum(-1)
        return action, log_pi, mean, log_std

    def update(
        self, batch: Batch, kl_weight: float, entropy_weight: float
    ) -> tuple[float, float, float]:
        """Critics with the encoder, value, target, policy; the three losses."""
        bellman, given = self.learn_critics(batch, kl_weight)
        return (bellman, *self.improve(batch, given.detach(), entropy_weight))

    def learn_critics(self, batch: Batch, kl_weight: float) -> tuple[float, torch.Tensor]:
        """One step of the critics and the encoder; their Bellman error, and each task's z."""
        owners = (batch.owners, batch.owners * batch.failed)
        totals = self.gather(batch.features, batch.length, *owners)
        posterior, failed = (self.space.posterior(total) for total in totals)
        z = self.space.draw(posterior, batch.latent_noise)
        bellman = self.bellman(batch, z, z[:, None], batch.train_reward)
        kl = self.space.kl(posterior).sum() + self.hyper.silent_kl * self.space.kl(failed).sum()
        self._step(bellman + kl_weight * kl, self.opt_encoder, self.opt_q)
        return bellman.item(), z

    def bellman(
        self, batch: Batch, given: torch.Tensor, later: torch.Tensor, reward: torch.Tensor
    ) -> torch.Tensor:
        """Squared errors of both critics: ``given`` what of each task, and ``later`` what."""
        h, count = self.hyper, batch.obs.shape[1]
        with torch.no_grad():
            later = later.expand(-1, count, -1)
            v_next = self.target_v(torch.cat([batch.next_obs, later], -1))[..., 0]
            target = h.reward_scale * reward + (1 - batch.done) * h.discount * v_next
        given = given[:, None].expand(-1, count, -1)
        pair = torch.cat([batch.obs, batch.action, given], -1)
        return sum(((q(pair)[..., 0] - target) ** 2).mean() for q in (self.q1, self.q2))

    def improve(
        self, batch: Batch, given: torch.Tensor, entropy_weight: float
    ) -> tuple[float, float]:
        """Value, target, policy, ``given`` what of each task; the two losses."""
        h, z = self.hyper, given[:, None].expand(-1, batch.obs.shape[1], -1)
        self.critics.requires_grad_(False)  # the policy's step needs no gradient of their weights
        action, log_pi, mean, log_std = self.act(batch.obs, z, batch.action_noise)
        pair_pi = torch.cat([batch.obs, action, z], -1)
        min_q = torch.minimum(self.q1(pair_pi), self.q2(pair_pi))[..., 0]
        v = self.v(torch.cat([batch.obs, z], -1))[..., 0]
        loss_v = ((v - (min_q - entropy_weight * log_pi).detach()) ** 2).mean()
        loss_policy = (entropy_weight * log_pi - min_q).mean()
        loss_policy = loss_policy + h.mean_reg * (mean**2).mean() + h.std_reg * (log_std**2).mean()
        self._step(loss_v, self.opt_v)
        with torch.no_grad():
            for slow, fast in zip(self.target_v.parameters(), self.v.parameters(), strict=True):
                slow.lerp_(fast, h.tau)
        self._step(loss_policy, self.opt_policy)
        self.critics.requires_grad_(True)
        return loss_v.item(), loss_policy.item()

    def scale_steps(self, share: float) -> None:
        """Sets the step sizes to a share of the configured ones, for their decay."""
        rates = [(self.opt_encoder, self.hyper.encoder_lr), (self.opt_q, self.hyper.lr)]
        rates += [(self.opt_v, self.hyper.lr), (self.opt_policy, self.hyper.lr)]
        for optimiser, rate in rates:
            for group in optimiser.param_groups:
                group["lr"] = share * rate

    @staticmethod
    def _step(loss: torch.Tensor, *optimisers: torch.optim.Optimizer) -> None:
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
