"""Latent blocks in PyTorch: evidence, posterior, draw and KL of `FAMILIES`, which are those of the
paper; a space with another family is refused."""

import math

import torch
from torch.distributions import Dirichlet, Normal, kl_divergence
from torch.nn import functional

from structlat_jax.config import Structure
from structlat_jax.latents import LatentSpace


class NotPorted(ValueError):
    """Something that the baseline does not have; the message says what it has."""


def softplus_or_exp(scale: torch.Tensor, precision: str) -> torch.Tensor:
    """The encoder's scale to a precision."""
    if precision == "softplus":
        return 1.0 / functional.softplus(scale).clamp(min=1e-7)
    return torch.exp((scale - 2.0).clamp(-13.8, 16.1))


class Normals:
    """Gaussian blocks, and the logits of Dirichlet blocks: a product of normals."""

    def __init__(self, groups: tuple[int, int], options: Structure, prior_variance: float):
        self.groups, self.options, self.prior_variance = groups, options, prior_variance
        self.dim = groups[0] * groups[1]
        self.stat_dim = 2 * self.dim

    def evidence(self, raw: torch.Tensor) -> torch.Tensor:
        mean, scale = raw.chunk(2, dim=-1)
        precision = softplus_or_exp(scale, self.options.precision)
        return torch.cat([precision, precision * mean], dim=-1)

    def posterior(self, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        precision, weighted = total.chunk(2, dim=-1)
        unseen = precision <= 0  # no context: the prior
        if self.options.prior_factor:
            precision = precision + 1.0 / self.prior_variance
        safe = precision.masked_fill(unseen, 1.0)
        variance = torch.where(unseen, self.prior_variance, 1.0 / safe)
        return torch.where(unseen, 0.0, weighted / safe), variance


class Gaussian(Normals):
    """``gau:n``."""

    def __init__(self, groups: tuple[int, int], options: Structure):
        super().__init__(groups, options, 1.0)

    def draw(self, q: tuple, noise: torch.Tensor) -> torch.Tensor:
        return q[0] + q[1].sqrt() * noise

    def noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(*shape, self.dim)

    def mean(self, q: tuple) -> torch.Tensor:
        return q[0]

    def kl(self, q: tuple) -> torch.Tensor:
        return kl_divergence(Normal(q[0], q[1].sqrt()), Normal(0.0, 1.0)).sum(-1)


class LogitNormal(Normals):
    """``dir:VxK``: softmax of normals, KL through the projected Laplace bridge."""

    def __init__(self, groups: tuple[int, int], options: Structure):
        super().__init__(groups, options, 1.0 / options.alpha)
        self.prior = Dirichlet(torch.full((groups[1],), options.alpha))

    def draw(self, q: tuple, noise: torch.Tensor) -> torch.Tensor:
        logits = (q[0] + q[1].sqrt() * noise).unflatten(-1, self.groups)
        return logits.softmax(-1).flatten(-2)

    def noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(*shape, self.dim)

    def mean(self, q: tuple) -> torch.Tensor:
        alpha = self.alpha(q)
        return (alpha / alpha.sum(-1, keepdim=True)).flatten(-2)

    def alpha(self, q: tuple) -> torch.Tensor:
        """Of the Dirichlet to which the bridge leads."""
        mean, variance = (x.unflatten(-1, self.groups) for x in q)
        classes = self.groups[1]
        mean = mean - mean.mean(-1, keepdim=True)
        variance = variance * (1 - 2 / classes) + variance.sum(-1, keepdim=True) / classes**2
        exponent = mean + torch.logsumexp(-mean, -1, keepdim=True) - 2 * math.log(classes)
        if classes > 2:
            exponent = torch.logaddexp(exponent, exponent.new_tensor(math.log1p(-2 / classes)))
        return torch.exp((exponent - variance.log()).clamp(-69.0, 69.0))

    def kl(self, q: tuple) -> torch.Tensor:
        return kl_divergence(Dirichlet(self.alpha(q), validate_args=False), self.prior).sum(-1)


class Categorical:
    """``cat:VxK``: log-probabilities add; draws by the Gumbel-softmax."""

    def __init__(self, groups: tuple[int, int], options: Structure):
        self.groups, self.options = groups, options
        self.dim = self.stat_dim = groups[0] * groups[1]
        self.scale = 0.02 if options.precision == "exp" else 1.0

    def evidence(self, raw: torch.Tensor) -> torch.Tensor:
        logits = self.scale * raw.unflatten(-1, self.groups)
        return logits.log_softmax(-1).clamp(min=-30.0).flatten(-2)

    def posterior(self, total: torch.Tensor) -> torch.Tensor:
        return total.unflatten(-1, self.groups).log_softmax(-1)

    def draw(self, q: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        logits = (q + noise.unflatten(-1, self.groups)) / self.options.temperature
        return logits.softmax(-1).flatten(-2)

    def noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return -torch.empty(*shape, self.dim).exponential_().log()

    def mean(self, q: torch.Tensor) -> torch.Tensor:
        return q.exp().flatten(-2)

    def kl(self, q: torch.Tensor) -> torch.Tensor:
        return (q.exp() * (q + math.log(self.groups[1]))).sum((-1, -2))


FAMILIES = {"gau": Gaussian, "dir": LogitNormal, "cat": Categorical}


class Space:
    """The product of blocks, as `structlat_jax.latents.LatentSpace`.

    Raises:
      NotPorted: if a block is of another family than `FAMILIES`.
    """

    def __init__(self, space: LatentSpace, options: Structure):
        for block in space.blocks:
            if block.family not in FAMILIES:
                known = ", ".join(FAMILIES)
                raise NotPorted(
                    f"the PyTorch baseline has latents of the families {known}, not {block.spec}."
                )
        self.blocks = [FAMILIES[b.family](b.groups, options) for b in space.blocks]
        self.stats = [block.stat_dim for block in self.blocks]
        self.dims = [block.dim for block in self.blocks]

    def evidence(self, raw: torch.Tensor) -> torch.Tensor:
        parts = zip(self.blocks, raw.split(self.stats, dim=-1), strict=True)
        return torch.cat([block.evidence(part) for block, part in parts], dim=-1)

    def posterior(self, total: torch.Tensor) -> list:
        parts = zip(self.blocks, total.split(self.stats, dim=-1), strict=True)
        return [block.posterior(part) for block, part in parts]

    def draw(self, posterior: list, noise: torch.Tensor) -> torch.Tensor:
        parts = zip(self.blocks, posterior, noise.split(self.dims, dim=-1), strict=True)
        return torch.cat([block.draw(q, eps) for block, q, eps in parts], dim=-1)

    def noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.cat([block.noise(shape) for block in self.blocks], dim=-1)

    def mean(self, posterior: list) -> torch.Tensor:
        return torch.cat(
            [block.mean(q) for block, q in zip(self.blocks, posterior, strict=True)], dim=-1
        )

    def kl(self, posterior: list) -> torch.Tensor:
        """Summed over blocks, one number per task."""
        return sum(block.kl(q) for block, q in zip(self.blocks, posterior, strict=True))
