"""Options of the experience that updates see."""

import dataclasses

from structlat_jax.options import option


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Sizes of batches, contexts and the replay."""

    meta_batch: int = option(8, "tasks per update", low=1)
    batch_size: int = option(64, "transitions per task and update", low=1)
    context_episodes: int = option(8, "most episodes in a training context", low=1)
    context_episodes_min: int = option(1, "fewest episodes in a training context", low=1)
    context_best_of: int = option(
        16, "the first context episode is the best of this many drawn (1: a plain draw)", low=1
    )
    context_window: int = option(
        50, "meta-steps whose episodes contexts are drawn from, if the replay holds them", low=1
    )
    replay_steps: int = option(
        20_000, "steps kept per task, in whole meta-steps and at least one of them", low=1
    )
    replay_precision: str = option(
        "float32",
        "how the replay keeps numbers; those of 16 bits take half of the memory, and have three "
        "digits up to 65,504 (float16) or two at any size (bfloat16)",
        choices=("float32", "float16", "bfloat16"),
    )


@dataclasses.dataclass(frozen=True)
class DataHyper:
    """How experience is weighted."""

    context_reward_scale: float = option(5.0, "multiplies the reward that the encoder sees")
    task_focus: float = option(
        1.0, "exponent by which tasks that prior episodes seldom solve are drawn more", low=0.0
    )
    explore_context: float = option(
        0.5, "share of contexts without posterior episodes", low=0.0, high=1.0
    )
