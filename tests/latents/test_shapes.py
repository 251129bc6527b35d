"""Shapes in annotations are checked while testing, and cost those who use the library nothing."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

import structlat_jax
from structlat_jax.latents import divergence, latent_space, natural
from structlat_jax.latents.von_mises_fisher import kl_to_uniform

ROOT = Path(structlat_jax.__file__).resolve().parents[1]


def test_a_wrong_shape_raises():
    with pytest.raises(TypeCheckError, match="eta"):
        kl_to_uniform(jnp.ones((2, 4)))
    with pytest.raises(TypeCheckError, match="variance"):
        divergence.expected_logsumexp(jnp.ones(3), jnp.ones(4), jax.random.key(0), 8)


def test_a_wrong_kind_of_number_raises():
    with pytest.raises(TypeCheckError, match="total"):
        natural.moments_from_total(jnp.ones(4, int), 1.0, True)


def test_functions_inside_functions_are_checked_too():
    (block,) = latent_space("dir:2x3").blocks
    posterior = block.posterior(jnp.ones((5, 12)))
    with pytest.raises(TypeCheckError, match="key"):
        block.kl(posterior, 3)
    with pytest.raises(TypeCheckError, match="eps"):
        block.transform(posterior, jnp.ones((5, 6), int))


WITHOUT = """
import sys
sys.modules["beartype"] = None
import jax, structlat_jax as sl
print(sl.latent_space("vmf:1").sample_prior(jax.random.key(0)).shape)
"""


def test_the_library_runs_without_the_checker():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "(3,)", done.stderr
