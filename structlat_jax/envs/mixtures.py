"""What families of tasks that are mixtures of base tasks have in common."""

from types import MappingProxyType

SETTINGS = MappingProxyType(
    {"train_tasks": 100, "eval_train_tasks": 10, "kl": "exact", "aggregate_kl": 3.0}
)
"""Mixtures of a low concentration lie near corners and edges, of which few training tasks leave
some empty. And what lies between them is a task too: draws from the prior are to be what training
has seen, so that the mean of the training tasks' posteriors is tied to it."""
