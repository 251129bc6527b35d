"""What changes along a run by plan."""

import jax.numpy as jnp
import pytest

from structlat_jax.algos import pearl_sac
from structlat_jax.algos.schedules import (
    coefficients_at,
    kl_weight,
    open_blocks,
    step_size_share,
)
from structlat_jax.config import Hyper


@pytest.mark.parametrize(
    ("updates", "expected"), [(0, 1.0), (5, 2.0), (10, 3.0), (40, 3.0), (1, 1.2)]
)
def test_kl_ramp(updates, expected):
    hyper = Hyper(kl_weight_start=1.0, kl_weight=3.0, kl_ramp_updates=10.0, silent_kl=0.5)
    assert float(kl_weight(hyper, jnp.int32(updates))) == pytest.approx(expected)
    coefficients = coefficients_at(hyper, jnp.int32(updates))
    assert float(coefficients.kl_weight) == pytest.approx(expected)
    assert float(coefficients.silent_weight) == pytest.approx(0.5 * expected)


def test_kl_weight_without_a_ramp():
    hyper = Hyper(kl_weight_start=1.0, kl_weight=3.0, kl_ramp_updates=0.0)
    assert [float(kl_weight(hyper, jnp.int32(u))) for u in (0, 1, 9)] == [1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("updates", "share"), [(0, 1.0), (10, 1.0), (15, 0.875), (20, 0.75), (30, 0.5), (99, 0.5)]
)
def test_step_sizes_and_the_entropy_weight_decay(updates, share):
    decay = {"lr_end": 0.5, "lr_decay_start": 10.0, "lr_decay_end": 30.0}
    hyper = Hyper(lr=2.0, encoder_lr=8.0, entropy_weight=3.0, entropy_end=0.0, **decay)
    assert float(step_size_share(hyper, jnp.int32(updates))) == pytest.approx(share)
    now, before = (coefficients_at(hyper, jnp.int32(u)) for u in (updates, 0))
    assert float(now.lr) == pytest.approx(2.0 * share)
    assert float(now.encoder_lr) == pytest.approx(8.0 * share)
    assert float(now.entropy_weight) == pytest.approx(3.0 * (2.0 * share - 1.0))
    scheduled = {"lr", "encoder_lr", "entropy_weight", "kl_weight", "silent_weight"}
    for name in set(now._fields) - scheduled:
        assert getattr(now, name) == getattr(before, name)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lr_end": 1.0}, [1.0, 1.0, 1.0, 1.0]),
        ({"lr_end": 0.25, "lr_decay_end": 10.0}, [1.0, 1.0, 0.25, 0.25]),  # no span: a step
        ({"lr_end": 0.25, "lr_decay_end": 5.0}, [1.0, 1.0, 0.25, 0.25]),  # an end before the start
    ],
)
def test_step_sizes_without_a_decay(changes, expected):
    hyper = Hyper(**{"lr_decay_start": 10.0, "lr_decay_end": 30.0, **changes})
    shares = [float(step_size_share(hyper, jnp.int32(u))) for u in (0, 10, 11, 99)]
    assert shares == pytest.approx(expected)


def test_coefficients_come_from_the_hyper_parameters():
    hyper = Hyper(**{name: 0.5 + i for i, name in enumerate(Hyper.__dataclass_fields__)})
    coefficients = coefficients_at(hyper, jnp.int32(0))
    constant = (set(pearl_sac.Coefficients._fields) & set(Hyper.__dataclass_fields__)) - {
        "kl_weight"
    }
    assert len(constant) >= 8
    for name in constant:
        assert getattr(coefficients, name) == getattr(hyper, name)


@pytest.mark.parametrize(
    ("delay", "expected"), [(0.0, [9, 9, 9, 9]), (10.0, [1, 1, 2, 4]), (0.5, [1, 8, 9, 9])]
)
def test_blocks_open_in_turn(delay, expected):
    hyper = Hyper(block_delay=delay)
    found = [float(open_blocks(hyper, jnp.int32(u))) for u in (0, 7, 10, 30)]
    assert [min(x, 9.0) for x in found] == expected
