"""Options of the update beyond PEARL's, with either posterior: a meta-step keeps the structure, the
shapes and the types of its state, which is all that a scan over them needs."""

import jax
import pytest
from tiny import config, line

from structlat_jax.train import learn
from structlat_jax.train.setup import make_setup

EVERY = {
    "all, by task": ("task", "twin", "learned", True, "float16", True),
    "all, by context": ("context", "twin", "learned", True, "float16", True),
    "twin targets where nobody is imagined": ("task", "twin", "schedule", False, "bfloat16", False),
    "a value network, by truth": ("truth", "value", "learned", True, "float32", True),
    "none": ("task", "value", "schedule", False, "float32", True),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_meta_step_keeps_its_state(name):
    posterior, targets, control, norm, precision, imagined = EVERY[name]
    made = config(
        posterior=posterior,
        targets=targets,
        entropy_control=control,
        obs_norm=norm,
        replay_precision=precision,
        imagined_tasks=imagined,
    )
    setup = make_setup(made, line())
    before = jax.eval_shape(lambda key: learn.init(setup, key), jax.random.key(0))
    after, metrics = jax.eval_shape(lambda x: learn.meta_step(setup, made.hyper, x), before)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for old, new in zip(*map(jax.tree.leaves, (before, after)), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
    assert before.replay.rows.dtype == precision
    assert (not before.params.v) == (targets == "twin")
    assert ("temperature" in metrics) == (control == "learned")
