"""Options of the update and of its schedules."""

import dataclasses

from structlat_jax.options import option


@dataclasses.dataclass(frozen=True)
class AlgorithmOptions:
    """Where z comes from in training."""

    posterior: str = option(
        "task",
        "which posterior an update draws a task's z from: the encoder's given a context, as PEARL "
        "does, or one of each training task's own, which the encoder learns to infer: known by the "
        "task's number, or by its ground truth (the environment's factors)",
        choices=("context", "task", "truth"),
    )
    decoder_width: int = option(
        64,
        "hidden width of the decoder of rewards and transitions (posterior: task or truth)",
        low=1,
    )
    imagined_tasks: bool = option(
        True,
        "beside every task of an update one that nobody has met, z from the prior and rewards from "
        "the decoder (posterior: task or truth)",
    )

    @property
    def tasks_are_known(self) -> bool:
        """Whether training tasks have posteriors of their own."""
        return self.posterior != "context"


@dataclasses.dataclass(frozen=True)
class AlgorithmHyper:
    """The coefficients of PEARL's losses, and how they change along a run."""

    lr: float = option(1e-3, "Adam step size of critics, value and policy", above=0.0)
    encoder_lr: float = option(1e-3, "Adam step size of the encoder", above=0.0)
    lr_end: float = option(
        0.05, "step sizes after their decay, as a share of those before", low=0.0, high=1.0
    )
    lr_decay_start: float = option(8_000.0, "updates after which the step sizes decay", low=0.0)
    lr_decay_end: float = option(30_000.0, "updates after which they stay at their end", low=0.0)
    discount: float = option(0.9, "discount factor", low=0.0, high=1.0)
    tau: float = option(0.005, "Polyak step of the target value network", above=0.0, high=1.0)
    reward_scale: float = option(1.0, "multiplies the reward in the Bellman target", above=0.0)
    entropy_weight: float = option(0.01, "weight of the policy's entropy", low=0.0)
    entropy_end: float = option(
        0.1, "entropy weight after the decay, as a share of that before", low=0.0, high=1.0
    )
    kl_weight: float = option(0.003, "weight of the KL, summed over the meta-batch", low=0.0)
    kl_weight_start: float = option(2e-4, "the KL weight before the ramp", low=0.0)
    silent_kl: float = option(
        1.0, "KL to the prior given a context's failed episodes only, per KL weight", low=0.0
    )
    kl_ramp_updates: float = option(9_000.0, "updates over which the KL weight ramps", low=0.0)
    aggregate_kl: float = option(
        0.0,
        "KL of the training tasks' mean posterior to the prior, per KL weight (posterior: task or "
        "truth; Dirichlet blocks need --kl exact for it)",
        low=0.0,
    )
    decoder_weight: float = option(
        0.03, "weight of the decoder's loss in the tasks' own posteriors", low=0.0
    )
    block_delay: float = option(
        0.0,
        "updates after which one more block of z opens; until then it is drawn from the prior, so "
        "that earlier blocks of the spec say what they can before later ones do; 0 for all at once "
        "(posterior: task or truth)",
        low=0.0,
    )
    mean_reg: float = option(
        1e-5, "penalty on the squared policy mean, or on its squared logits", low=0.0
    )
    std_reg: float = option(1e-5, "penalty on the squared policy log-std (not of choices)", low=0.0)
