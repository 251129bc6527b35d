"""PEARL in eager PyTorch, the baseline of the benchmarks; the extra ``bench`` brings torch.

Written as a PyTorch user would write it: modules, autograd, torch.optim, tensors on one device. It
is held to the arithmetic of `structlat_jax.algos.pearl_sac` by a test that compares one update
of the two.
"""
