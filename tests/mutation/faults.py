"""Small faults, each a text that occurs once in a file and what stands there instead."""

from faults_choices import (
    ACTOR_CRITICS,
    ACTOR_TESTS,
    CHOICES,
    CHOICES_TESTS,
    PITCH,
    PITCH_TESTS,
)
from faults_learning import (
    BELIEF,
    BELIEF_TESTS,
    CHOICE,
    CHOICE_TESTS,
    DATA,
    ENVIRONMENTS,
    EVALUATION,
    EVALUATION_TESTS,
    TRAINING,
    TRAINING_TESTS,
    UPDATE,
)
from faults_runs import (
    IMAGINED,
    IMAGINED_TESTS,
    JOINED,
    JOINED_TESTS,
    RUN_TESTS,
    RUNS,
    TOLD,
    TOLD_TESTS,
)

LATENTS = {
    "latents/categorical.py": [
        ("_LOG_PROBABILITY_FLOOR = -30.0", "_LOG_PROBABILITY_FLOOR = -3.0"),
        ("scale = natural.scale_of_raw(options.precision)", "scale = 1.0"),
        ("log_softmax(scale * split(raw), axis=-1)", "log_softmax(scale * split(raw), axis=-2)"),
        ("log_softmax(scale * split(raw)", "log_softmax(-scale * split(raw)"),
        ("jnp.maximum(log_probabilities", "jnp.minimum(log_probabilities"),
        ("log_softmax(split(total), axis=-1)", "log_softmax(split(total), axis=-2)"),
        ("jnp.all(total == 0, axis=-1)", "jnp.any(total == 0, axis=-1)"),
        ("(q.logits + split(gumbel)) / options", "(q.logits - split(gumbel)) / options"),
        ("/ options.temperature", "* options.temperature"),
        ("argmax(q.logits + split(gumbel), axis=-1)", "argmax(q.logits, axis=-1)"),
        (
            "randint(key, (*shape, variables), 0, classes)",
            "randint(key, (*shape, variables), 0, 1)",
        ),
        ("kl_divergence(uniform), axis=-1)", "kl_divergence(uniform), axis=-1) / variables"),
        ("flat(jnp.exp(q.logits))", "flat(q.logits)"),
    ],
    "latents/dirichlet.py": [
        ("prior_variance = 1.0 / options.alpha", "prior_variance = options.alpha"),
        ("jnp.sqrt(q.variance) * split(eps)", "q.variance * split(eps)"),
        ("softmax(q.mean + jnp.sqrt", "softmax(q.mean - 0.0 * jnp.sqrt"),
        ("* split(eps), axis=-1)", "* split(eps), axis=-2)"),
        ("jnp.full((classes,), options.alpha)", "jnp.ones((classes,))"),
        ("q.mean, q.variance, options.bridge)", "q.mean, q.variance)"),
        ('if options.kl == "exact"', 'if options.kl == "bridge"'),
        (
            "jnp.where(q.empty, 0.0, jnp.sum(per_variable, axis=-1))",
            "jnp.sum(per_variable, axis=-1)",
        ),
        ("return jnp.sum(per_variable, axis=-1)", "return jnp.mean(per_variable, axis=-1)"),
        ("alpha / jnp.sum(alpha, axis=-1, keepdims=True)", "alpha"),
    ],
    "latents/divergence.py": [
        ("_SHIFT = 8", "_SHIFT = 1"),
        ("series_r = (1 / 12 - (1 / 360", "series_r = (1 / 12 + (1 / 360"),
        ("(1 / 120 - 1 / 252", "(1 / 120 + 1 / 25"),
        (
            "(low + _SHIFT - 0.5) * log_high - (low - 0.5)",
            "(low + _SHIFT - 0.5) * log_high - (low + 0.5)",
        ),
        ("t_small = low * (", "t_small = 2 * low * ("),
        ("classes * math.lgamma(alpha) - math", "classes * math.lgamma(alpha) + math"),
        (
            "0.5 * (jnp.sum(log_alpha, axis=-1) - log_alpha0)",
            "0.5 * (jnp.sum(log_alpha, axis=-1) + log_alpha0)",
        ),
        ("- 0.5 * (classes - 1) * (1.0", "- 0.5 * classes * (1.0"),
        ("+ (r0 - jnp.sum(r, axis=-1))", "+ (r0 - jnp.sum(t, axis=-1))"),
        ("+ (t0 - jnp.sum(t, axis=-1))", "- (t0 - jnp.sum(t, axis=-1))"),
        ("- prior * jnp.sum(expected_log, axis=-1)", "+ prior * jnp.sum(expected_log, axis=-1)"),
        (
            "shift = jax.random.uniform(key, (*mean.shape[:-1], 1, classes)",
            "shift = jax.random.uniform(key, (1, classes)",
        ),
        ("centre + offset, centre - offset", "centre + offset, centre + offset"),
        ("offset = jnp.sqrt(variance)", "offset = variance"),
        (
            "(classes - 1) * math.log(2 * math.pi * math.e)",
            "classes * math.log(2 * math.pi * math.e)",
        ),
        ("logsumexp(-log_variance, axis=-1)", "logsumexp(log_variance, axis=-1)"),
        ("log_beta(prior, classes) - 0.5", "log_beta(prior, classes) + 0.5"),
        ("prior * classes * expectation", "prior * expectation"),
    ],
    "latents/gaussian.py": [
        ("moments_from_total(total, 1.0,", "moments_from_total(total, 2.0,"),
        ("q.mean + jnp.sqrt(q.variance) * eps", "q.mean - jnp.sqrt(q.variance) * 0.0 * eps"),
        ("Normal(q.mean, jnp.sqrt(q.variance))", "Normal(q.mean, q.variance)"),
        ("kl_divergence(distrax.Normal(0.0, 1.0))", "kl_divergence(distrax.Normal(0.0, 2.0))"),
    ],
    "latents/laplace_bridge.py": [
        ("_LOG_ALPHA_MAX = 69.0", "_LOG_ALPHA_MAX = 9.0"),
        ("mu = log_alpha - jnp.mean(log_alpha", "mu = log_alpha + jnp.mean(log_alpha"),
        (
            "inverse * (1.0 - 2.0 / classes) + total / classes**2",
            "inverse * (1.0 - 2.0 / classes) + total / classes",
        ),
        ('if form == "projected"', 'if form == "corrected"'),
        ("keepdims=True) / classes**2\n    sign", "keepdims=True) / classes\n    sign"),
        ('-1.0 if form == "printed" else 1.0', '1.0 if form == "printed" else -1.0'),
        ("logsumexp(-mu, axis=-1", "logsumexp(mu, axis=-1"),
        ("- 2.0 * math.log(classes)", "- math.log(classes)"),
        ("if classes > 2:", "if classes > 3:"),
        ("exponent - jnp.log(var)", "exponent + jnp.log(var)"),
    ],
    "latents/natural.py": [
        ("VARIANCE_FLOOR = 1e-7", "VARIANCE_FLOOR = 1e-2"),
        ("FAINT = 0.02", "FAINT = 0.2"),
        ('FAINT if precision == "exp"', 'FAINT if precision == "softplus"'),
        ("_LOG_PRECISION_SHIFT = 2.0", "_LOG_PRECISION_SHIFT = -2.0"),
        ("(-13.8, 16.1)", "(-1.0, 1.0)"),
        ("tau, tau * mean], axis=-1", "tau, mean], axis=-1"),
        ("tau = tau + 1.0 / prior_variance", "tau = tau + prior_variance"),
        ("jnp.where(unseen, 1.0, tau)", "tau"),
        ("jnp.where(unseen, prior_variance, 1.0 / safe)", "1.0 / safe"),
        ("jnp.all(unseen, axis=-1)", "jnp.any(~unseen, axis=-1)"),
    ],
    "latents/space.py": [
        ("jnp.sum(evidence, axis=-2)\n", "jnp.mean(evidence, axis=-2)\n"),
        ("jnp.where(mask[..., None] > 0, evidence, 0.0)", "mask[..., None] * evidence"),
        ("mask[..., None] > 0", "mask[..., None] < 1"),
        ("block.transform_hard if hard else", "block.transform if hard else"),
        ("jnp.where(empty[..., None], prior, drawn)", "drawn"),
        ("empty[..., None], prior, drawn", "empty[..., None], drawn, prior"),
        ("empty[..., None], unseen, seen", "empty[..., None], seen, unseen"),
        (
            "jax.random.split(key, len(self.blocks))\n        values",
            "[key] * len(self.blocks)\n        values",
        ),
        (
            "keys = jax.random.split(key, len(self.blocks))\n        pairs",
            "keys = [key] * len(self.blocks)\n        pairs",
        ),
    ],
    "latents/von_mises_fisher.py": [
        ("_LIMIT = 1e6", "_LIMIT = 1e1"),
        ("jnp.clip(scale * raw, -_LIMIT, _LIMIT)", "jnp.clip(raw, -_LIMIT, _LIMIT)"),
        ("jnp.all(total == 0, axis=-1)", "jnp.any(total == 0, axis=-1)"),
        (
            "flat(normal / jnp.linalg.norm(normal, axis=-1",
            "flat(normal / jnp.linalg.norm(normal, axis=-2",
        ),
        (
            "jnp.sum(kl_to_uniform(q.natural), axis=-1)",
            "jnp.mean(kl_to_uniform(q.natural), axis=-1)",
        ),
        (
            "jnp.sum(log_density(q.natural, split(z)), axis=-1)",
            "log_density(q.natural, split(z))[..., 0]",
        ),
        ("mean=lambda q: flat(mean_of(q.natural))", "mean=lambda q: flat(q.natural)"),
        ("1 / 3 + square * (-1 / 45", "1 / 3 + square * (1 / 45"),
        ("(1.0 / jnp.tanh(kappa) - 1.0 / kappa) / kappa", "(1.0 / jnp.tanh(kappa) - 1.0 / kappa)"),
        ("square * (1 / 6 + square * (-1 / 60", "square * (1 / 3 + square * (-1 / 60"),
        ("2.0 * kappa * faded / rest - 1.0", "2.0 * kappa * faded / rest + 1.0"),
        ("+ jnp.log(2.0 * kappa) - jnp.log(rest)", "+ jnp.log(kappa) - jnp.log(rest)"),
        ("away = z - mean_of(eta)", "away = z"),
        ("- math.log(4.0 * math.pi)", "- math.log(2.0 * math.pi)"),
        ("uniform + 0.5 * (eta - _inner", "uniform + 1.0 * (eta - _inner"),
        ("jnp.where(linear, jnp.ones_like(eta), eta)", "eta"),
        (
            "_chord(uniform, towards), _chord(uniform, -towards)",
            "_chord(uniform, -towards), _chord(uniform, towards)",
        ),
        ("strong = jnp.log(near + away *", "strong = jnp.log(near - away *"),
        ("jnp.where(far, strong, weak)", "jnp.where(far, weak, strong)"),
        ("across = jnp.sqrt(depth * (2.0 - depth))", "across = jnp.sqrt(depth * (1.0 - depth))"),
        ("across * tangent", "-across * tangent"),
    ],
}

TESTS = (
    (BELIEF, BELIEF_TESTS),
    (LATENTS, ("tests/latents", "tests/inference/test_additive.py")),
    (UPDATE, ("tests/inference/test_additive.py", "tests/algos/test_pearl_sac.py")),
    (DATA, ("tests/data", "tests/train/test_ending.py")),
    (EVALUATION, EVALUATION_TESTS),
    (CHOICE, CHOICE_TESTS),
    (TRAINING, TRAINING_TESTS),
    (ENVIRONMENTS, ("tests/envs",)),
    (ACTOR_CRITICS, ACTOR_TESTS),
    (CHOICES, CHOICES_TESTS),
    (PITCH, PITCH_TESTS),
    (RUNS, RUN_TESTS),
    (IMAGINED, IMAGINED_TESTS),
    (TOLD, TOLD_TESTS),
    (JOINED, JOINED_TESTS),
)
"""Which tests are to notice which faults; the others are not asked, to save time."""

EXTRA = {"algos/pearl_sac.py": ("tests/algos/test_pearl_parity.py",)}

FIRST = {
    "latents/categorical.py": ("tests/latents/test_families.py",),
    "latents/dirichlet.py": ("tests/latents/test_families.py",),
    "latents/divergence.py": ("tests/latents/test_divergence.py",),
    "latents/gaussian.py": ("tests/latents/test_families.py",),
    "latents/laplace_bridge.py": ("tests/latents/test_laplace_bridge.py",),
    "latents/natural.py": ("tests/latents/test_families.py",),
    "latents/space.py": ("tests/latents/test_space.py", "tests/latents/test_families.py"),
    "latents/von_mises_fisher.py": ("tests/latents/test_von_mises_fisher.py",),
    "inference/hypotheses.py": (
        "tests/inference/test_hypotheses.py",
        "tests/inference/test_change_evidence.py",
    ),
    "inference/imagined.py": ("tests/inference/test_world_model.py",),
    "inference/sparse.py": ("tests/inference/test_world_model.py",),
    "inference/world_model.py": ("tests/inference/test_world_model.py",),
    "data/replay.py": ("tests/data/test_replay.py",),
    "data/contexts.py": ("tests/data/test_contexts.py",),
    "data/batches.py": ("tests/data/test_batches.py",),
    "algos/pearl_sac.py": ("tests/algos/test_pearl_sac.py",),
    "train/explore.py": ("tests/train/test_explore.py",),
}
"""The test file that is likeliest to notice, asked before the others to save time."""

FAULTS = [
    (file, old, new, (*FIRST.get(file, ()), *tests, *EXTRA.get(file, ())))
    for group, tests in TESTS
    for file, faults in group.items()
    for old, new in faults
]
"""File, what it has, what it gets, and the tests that are to notice."""
