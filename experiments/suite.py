"""Does structure in the latent pay? Families of tasks with known structure, latent by latent.

python -m experiments.suite --families 'triangle;triangle+rotation=0.7+gain=0.3' --seeds 4

The same as ``structlat suite``, which says the rest.
"""

from structlat_jax.cli.commands import suite as command
from structlat_jax.cli.errors import main

if __name__ == "__main__":
    main(command)
