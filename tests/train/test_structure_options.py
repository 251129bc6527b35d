"""Structure options and environments need no special case, and no key is used twice whatever they
are."""

import jax
import numpy as np
import pytest
from tiny import all_finite, quick_compile, setup

from structlat_jax.latents import block_names
from structlat_jax.train import evaluate as module
from structlat_jax.train.learn import init, meta_step

CASES = {
    "gaussian, pearl, corrected, no posterior, plain draw; episodes that end": {
        "env": "ending",
        "latent": "gau:5,dir:1x3",
        "precision": "softplus",
        "init": "pearl",
        "prior_factor": False,
        "bridge": "corrected",
        "posterior_episodes": 0,
        "context_best_of": 1,
        "encoder_norm": False,
        "eval_encoder": False,
        "hypotheses": 2,
        "world_width": 1,
        "world_updates": 1,
        "explorer": "uniform",
    },
    "categorical, no exploring, amortised; no success, no oracle": {
        "env": "dense",
        "latent": "cat:2x4",
        "explore_episodes": 0,
        "inference": "amortised",
    },
    "exact, next observation, two latents; episodes that end": {
        "env": "ending",
        "latent": "dir:2x4",
        "kl": "exact",
        "next_obs_in_context": True,
        "eval_draws": 2,
        "choice": "thompson",
        "explorer": "smooth",
    },
    "mixed, prior, printed, a larger world model; no success": {
        "env": "dense",
        "latent": "gau:1,dir:3x5,gau:1",
        "prior_factor": True,
        "bridge": "printed",
        "world_width": 9,
        "world_updates": 7,
        "explorer": "own",
    },
    "tasks' own posteriors, next observation; no success": {
        "env": "dense",
        "posterior": "task",
        "latent": "dir:1x3,gau:1",
        "next_obs_in_context": True,
        "kl": "exact",
        "decoder_width": 3,
        "inference": "auto",
    },
    "tasks' own posteriors, decoded; episodes that end": {
        "env": "ending",
        "posterior": "task",
        "latent": "gau:2",
        "inference": "decoded",
        "eval_draws": 2,
    },
    "tasks' own posteriors, explained; dense": {
        "env": "dense",
        "posterior": "task",
        "latent": "dir:1x2,gau:1",
        "inference": "explained",
        "choice": "thompson",
        "later_blocks": "changes",
    },
    "tasks' own posteriors, none imagined; episodes that end": {
        "env": "ending",
        "posterior": "task",
        "latent": "cat:1x3,vmf:1",
        "imagined_tasks": False,
        "inference": "amortised",
        "posterior_episodes": 3,
    },
}


SHORT = ("tasks' own posteriors, decoded; episodes that end",)


def verbs(own):
    """All of a run in one program, for one task. The key checker reads it; it takes the transposes
    that vmap adds for reuse, so only one repeat of one task is evaluated."""

    def run(key):
        keys = jax.random.split(key, 3)
        state, metrics = meta_step(own, own.config.hyper, init(own, keys[0]))
        task = jax.tree.map(lambda x: x[0], state.test_tasks)
        beside = own.structure.eval_encoder
        case = module.Case(own, own.config.hyper, state.learned, task)
        adaptation = module._adapt(case, keys[1], beside)
        return (
            state,
            metrics,
            adaptation,
            module.references(own, state.params, state.test_tasks, keys[2]),
        )

    return run


def short_or_slow(name):
    """One case is always tried, that of the default; the others take long to compile."""
    marks = () if name in SHORT else pytest.mark.slow
    return pytest.param(CASES[name], id=name, marks=marks)


@pytest.mark.parametrize("changes", [short_or_slow(name) for name in CASES])
def test_structure_options_need_no_special_case(changes):
    own = setup(**changes, kl_samples=8)
    s = own.structure
    with jax.debug_key_reuse(True), jax.debug_nans(True), quick_compile():
        state, metrics, adaptation, found = jax.jit(verbs(own))(jax.random.key(0))
    kinds = {"prior": s.prior_episodes, "explore": s.explore_episodes}
    for kind, episodes in {**kinds, "posterior": s.posterior_episodes}.items():
        assert (metrics.pop(f"collected_{kind}_return", None) is None) == (episodes == 0)
    assert all_finite((state.learned, state.moments, state.inference_moments, metrics))
    assert all(x.shape == () for x in metrics.values())
    by_block = {f"kl {name}" for name in block_names(own.space)}
    assert by_block == {name for name in metrics if name.startswith("kl ")}
    needs_none = s.inference in ("amortised", "decoded", "explained")
    assert (state.inference_params == {}) == (state.inference_moments == ()) == needs_none
    assert any(name.startswith("world_") for name in metrics) != needs_none
    assert (adaptation.encoder is not None) == s.eval_encoder
    assert (adaptation.success is None) == (own.env.success is None)
    given = {name: x for name, x in adaptation._asdict().items() if x is not None}
    assert all_finite(given)
    assert adaptation.z.shape == (s.eval_episodes, own.space.dim)
    assert found.floor.shape == (s.test_tasks,)
    assert (found.oracle is None) == (own.env.oracle_return is None)
    if s.explorer == "own":  # sines of u - pi, u - pi / 3, u + pi / 3 and u + pi
        explored = own.layout.unpack(state.replay.rows[:, 0, 2:4]).action[..., 0]
        np.testing.assert_allclose(explored[..., 0], explored[..., 3], atol=1e-5)
        np.testing.assert_allclose(explored[..., 1:].sum(axis=-1), 0.0, atol=1e-5)
        assert len(np.unique(explored[..., 0])) == explored[..., 0].size
    if own.env.name == "dense":  # all that is paid lies along the path
        distance = np.abs(adaptation.path[:, 1:, 0] - 5.0 * state.test_tasks[0])
        np.testing.assert_allclose(adaptation.returns, -distance.sum(axis=-1), rtol=1e-5)


def test_a_reused_key_would_be_seen():
    def careless(key):
        return jax.random.normal(key) + jax.random.uniform(key)

    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(careless)(jax.random.key(0))
