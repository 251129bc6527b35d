"""Options of meta-training and of the evaluation protocol."""

import dataclasses

from structlat_jax.options import option


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Tasks, and what a meta-step consists of."""

    train_tasks: int = option(30, "number of training tasks", low=1)
    test_tasks: int = option(10, "number of test tasks", low=1)
    starts: int = option(
        1,
        "how many times a seed's first updates are done, each time from other networks; the start "
        "whose training episodes return most goes on",
        low=1,
    )
    start_updates: int = option(
        3000,
        "updates of each of several starts, rounded up to whole meta-steps; a run of no more has "
        "one start",
        low=1,
    )
    updates_per_step: int = option(300, "gradient updates per meta-step", low=1)
    prior_episodes: int = option(5, "episodes per task and meta-step with z from the prior", low=1)
    explore_episodes: int = option(5, "episodes that explore without the policy", low=0)
    posterior_episodes: int = option(10, "episodes with z from the posterior", low=0)
    explorer: str = option(
        "held",
        "how they explore: one random action held for the episode, a new one at every step, a "
        "smooth random walk, or the environment's own way",
        choices=("held", "uniform", "smooth", "own"),
    )


@dataclasses.dataclass(frozen=True)
class ProtocolOptions:
    """The evaluation."""

    eval_episodes: int = option(20, "episodes per task in evaluation", low=2)
    eval_prior_episodes: int = option(5, "of those, with z from the prior", low=1)
    eval_draws: int = option(
        1,
        "latents per episode, each for its share of the steps (compiled one by one)",
        low=1,
        high=10,
        where={"algorithm": ("pearl",)},
    )
    eval_train_tasks: int = option(
        30, "training tasks that an evaluation looks at, at most: the first of them", low=1
    )
    eval_repeats: int = option(4, "repeats of the evaluation per task", low=1)
    eval_at_once: int = option(
        1,
        "tasks that an evaluation goes through at once: more is faster where every step calls a "
        "physics engine, and takes so many times the memory",
        low=1,
    )
    eval_encoder: bool = option(
        True,
        "evaluate the encoder's posterior, the paper's inference, beside another, in as many "
        "episodes of its own",
    )
