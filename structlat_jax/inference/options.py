"""Options of the inference that acts."""

import dataclasses

from structlat_jax.options import option

_PEARL = {"algorithm": ("pearl",)}
_BY_PLACES = {"inference": ("auto", "hypotheses"), **_PEARL}
_BY_HYPOTHESES = {"inference": ("auto", "hypotheses", "decoded", "explained"), **_PEARL}


@dataclasses.dataclass(frozen=True)
class InferenceOptions:
    """Which inference, and its sizes."""

    inference: str = option(
        "auto",
        "of the evaluation: Bayes' rule over draws from the prior, read through where they lead "
        "or, by the decoder of --posterior task, as they are (explained: by changes of the "
        "observation too); the encoder's posterior; or that of hypotheses, decoded and amortised "
        "which does best on the training tasks",
        choices=("auto", "hypotheses", "decoded", "explained", "amortised"),
        where=_PEARL,
    )
    hypotheses: int = option(
        2048,
        "draws from the prior that are weighed, a power of two",
        low=2,
        high=2**20,
        where=_BY_HYPOTHESES,
    )
    choice: str = option(
        "greedy",
        "which hypothesis posterior episodes act on: the one of most expected return, or a draw",
        choices=("greedy", "thompson"),
        where=_BY_HYPOTHESES,
    )
    world_width: int = option(32, "hidden width of the world model", low=1, where=_BY_PLACES)
    world_draws: int = option(
        8, "draws of z per task that explain its rewards together", low=1, where=_BY_PLACES
    )
    world_updates: int = option(
        60, "updates of the world model per meta-step", low=1, where=_BY_PLACES
    )


@dataclasses.dataclass(frozen=True)
class InferenceHyper:
    """How evidence counts."""

    evidence_weight: float = option(
        1.0,
        "exponent of the likelihood that weighs hypotheses (1: Bayes, 0: prior)",
        low=0.0,
        where=_BY_HYPOTHESES,
    )
    change_steps: float = option(
        20.0,
        "steps that changes of the observation count for at most, however many",
        low=0.0,
        where={"inference": ("explained",)},
    )
