"""Options of the update and of its schedules, and of the algorithms beside the paper's."""

import dataclasses
from typing import Any

from structlat_jax.options import ConfigError, option, require_order

ON_POLICY = ("rl2", "varibad", "maml")
"""Algorithms that learn from what was just collected, in whole trials."""

_ON_POLICY = {"algorithm": ON_POLICY}
_RECURRENT = {"algorithm": ("rl2", "varibad")}
_VARIBAD, _MAML = {"algorithm": ("varibad",)}, {"algorithm": ("maml",)}
_PEARL = {"algorithm": ("pearl",)}
_BY_TASK = {"posterior": ("task", "truth"), **_PEARL}

ALGORITHMS = ("pearl", "pearl-belief", "oracle", *ON_POLICY)

WITHOUT_LATENT = ("oracle", "rl2", "maml")
"""Algorithms that believe nothing of z."""


@dataclasses.dataclass(frozen=True)
class AlgorithmOptions:
    """How the agent learns, and where z comes from in training."""

    algorithm: str = option(
        "pearl",
        "how the agent learns: PEARL; its actor-critic on the belief itself (pearl-belief) or on "
        "the ground truth (oracle); RL^2, VariBAD or MAML, on policy",
        choices=ALGORITHMS,
    )
    posterior: str = option(
        "task",
        "which posterior an update draws a task's z from: the encoder's given a context, as PEARL "
        "does, or one of each training task's own, which the encoder learns to infer: known by the "
        "task's number, or by its ground truth (the environment's factors)",
        choices=("context", "task", "truth"),
        where=_PEARL,
    )
    decoder_width: int = option(64, "hidden width of the decoder of rewards and transitions", low=1)
    imagined_tasks: bool = option(
        True,
        "beside every task of an update one that nobody has met, z from the prior and rewards from "
        "the decoder",
        where=_BY_TASK,
    )

    later_blocks: str = option(
        "any",
        "what blocks of z behind the first are asked for, from the start and open or not: nothing "
        "of their own, or how the observation changes, which feedback undoes and so pays too "
        "little to be said unasked",
        choices=("any", "changes"),
        where=_BY_TASK,
    )
    targets: str = option(
        "value",
        "what the critics are trained towards: a value network, as PEARL's are, or the lesser of "
        "two slow copies of themselves, as where actions are choices",
        choices=("value", "twin"),
    )
    entropy_control: str = option(
        "schedule",
        "whether the entropy's weight follows its schedule, or is moved until the policy has the "
        "entropy of `entropy_target`",
        choices=("schedule", "learned"),
    )

    @property
    def tasks_are_known(self) -> bool:
        """Whether training tasks have posteriors of their own."""
        return self.posterior != "context" and self.acts_on_z

    @property
    def acts_on_z(self) -> bool:
        """Whether the policy is given a z; that of others is given a belief."""
        return self.algorithm == "pearl"

    @property
    def is_on_policy(self) -> bool:
        """Whether a meta-step consists of trials that are learned from once."""
        return self.algorithm in ON_POLICY


@dataclasses.dataclass(frozen=True)
class OnPolicyOptions:
    """Trials: some episodes of one task, between which what was found out is kept."""

    trial_episodes: int = option(4, "episodes of a training trial", low=1, where=_ON_POLICY)
    task_trials: int = option(2, "trials per training task and meta-step", low=1, where=_ON_POLICY)
    adapt_episodes: int = option(
        5, "exploring episodes of a trial after which the policy adapts", low=1, where=_MAML
    )
    minibatches: int = option(
        4,
        "parts into which a meta-step's trials are cut, of which every update sees one",
        low=1,
        where=_ON_POLICY,
    )
    hidden: int = option(64, "width of the recurrent state", low=1, where=_RECURRENT)
    belief_updates: int = option(8, "updates of the belief per meta-step", low=1, where=_VARIBAD)
    belief_trials: int = option(16, "trials that each of these sees", low=1, where=_VARIBAD)
    kept_steps: int = option(
        50, "meta-steps whose trials these are drawn from", low=1, where=_VARIBAD
    )


def require_trials(s: Any) -> None:
    """Raises `ConfigError` if the options of ``s``, a whole structure, do not go together for who
    learns from trials."""
    if s.updates_per_step % s.minibatches:
        rule = f"a multiple of `minibatches` ({s.minibatches}) for {s.algorithm}"
        raise ConfigError("updates_per_step", rule, s.updates_per_step)
    if s.minibatches > (most := s.train_tasks * s.task_trials):
        rule = f"at most `train_tasks` times `task_trials` ({most}) for {s.algorithm}"
        raise ConfigError("minibatches", rule, s.minibatches)
    if s.algorithm != "maml":
        return
    require_order(s, "adapt_episodes", "eval_episodes", below=True)
    if not 2 <= s.adapt_episodes <= s.trial_episodes - 2:
        rule = f"from 2 to `trial_episodes` ({s.trial_episodes}) less 2 for maml"
        raise ConfigError("adapt_episodes", rule, s.adapt_episodes)


@dataclasses.dataclass(frozen=True)
class OnPolicyHyper:
    """The coefficients of learning on policy (algorithm: rl2, varibad, maml)."""

    clip: float = option(
        0.2, "how far the ratio of new to old densities counts", above=0.0, where=_ON_POLICY
    )
    gae: float = option(
        0.95, "decay of the advantage's look ahead", low=0.0, high=1.0, where=_ON_POLICY
    )
    value_weight: float = option(0.5, "weight of the value's loss", low=0.0, where=_ON_POLICY)
    belief_kl: float = option(
        0.1,
        "weight of the KL of a belief to the one before it; 1: the evidence's bound",
        low=0.0,
        where=_VARIBAD,
    )
    explore_share: float = option(
        0.0,
        "share of the training trials whose first half explores as --explorer says, without the "
        "policy, which learns from the other half alone",
        low=0.0,
        high=1.0,
        where=_ON_POLICY,
    )
    inner_lr: float = option(0.1, "step size of MAML's adaptation", low=0.0, where=_MAML)


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
    shaped_share: float = option(
        1.0,
        "share of the shaped reward in what is maximised, the task's own being the rest",
        low=0.0,
        high=1.0,
        where={"algorithm": (*ON_POLICY, "pearl-belief")},
    )
    entropy_weight: float = option(0.01, "weight of the policy's entropy", low=0.0)
    entropy_end: float = option(
        0.1, "entropy weight after the decay, as a share of that before", low=0.0, high=1.0
    )
    entropy_target: float = option(
        -1.0,
        "nats per number of an action, or per choice, that a learned temperature aims at",
        where={"entropy_control": ("learned",)},
    )
    kl_weight: float = option(0.003, "weight of the KL, summed over the meta-batch", low=0.0)
    kl_weight_start: float = option(2e-4, "the KL weight before the ramp", low=0.0)
    silent_kl: float = option(
        1.0,
        "KL to the prior given a context's failed episodes only, per KL weight",
        low=0.0,
        where={"posterior": ("context",)},
    )
    kl_ramp_updates: float = option(9_000.0, "updates over which the KL weight ramps", low=0.0)
    aggregate_kl: float = option(
        0.0,
        "KL of the training tasks' mean posterior to the prior, per KL weight (Dirichlet "
        "blocks need --kl exact for it)",
        low=0.0,
        where=_BY_TASK,
    )
    decoder_weight: float = option(
        0.03, "weight of the decoder's loss in the tasks' own posteriors", low=0.0, where=_BY_TASK
    )
    change_weight: float = option(
        1.0,
        "weight of the squared error of predicted changes in the tasks' own posteriors",
        low=0.0,
        where={"later_blocks": ("changes",)},
    )
    block_delay: float = option(
        0.0,
        "updates after which one more block of z opens; until then it is drawn from the prior, so "
        "that earlier blocks of the spec say what they can before later ones do; 0 for all at once",
        low=0.0,
        where=_BY_TASK,
    )
    mean_reg: float = option(
        1e-5, "penalty on the squared policy mean, or on its squared logits", low=0.0
    )
    std_reg: float = option(1e-5, "penalty on the squared policy log-std (not of choices)", low=0.0)
