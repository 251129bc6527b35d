"""Environments that are objects of Python, with gymnasium's ``reset`` and ``step``.

They live in worker processes, which hold a NumPy copy of the policy and take whole episodes. What a
worker imports of this package does without jax.
"""
