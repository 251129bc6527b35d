"""Seeds, latent spaces and any hyper-parameter, every combination of them, on all devices.

python -m experiments.sweep --seeds 8 --grid lr=3e-4,1e-3 --grid kl_weight=0.001,0.003

The same as ``structlat sweep``, which says the rest.
"""

from structlat_jax.cli.commands import sweep as command
from structlat_jax.cli.errors import main

if __name__ == "__main__":
    main(command)
