"""Bodies that walk and run: the families of locomotion that meta-learning is measured on.

Their physics is MuJoCo's, by its own engine for processors or by its XLA program for accelerators;
their models are those of gymnasium, whose observations and actions they share. Nothing here imports
either before an environment is made: they come with ``pip install 'structlat-jax[bodies]'``.
"""
