"""Trained agents under other protocols: the evaluation again, and nothing trained.

python -m experiments.protocols runs/first --arms 'eval_draws=2;eval_prior_episodes=1'

The same as ``structlat evaluate``, which says the rest.
"""

from structlat_jax.cli.errors import main
from structlat_jax.cli.finished_commands import evaluate as command

if __name__ == "__main__":
    main(command)
