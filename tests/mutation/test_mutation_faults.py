"""The list of faults fits the library as it is; whether tests notice them is `check.py`'s."""

import ast
from pathlib import Path

import pytest
from faults import FAULTS

import structlat_jax

LIBRARY = Path(structlat_jax.__file__).parent
CHECKED = ("latents/", "algos/", "inference/", "data/", "train/", "envs/", "nets/", "run/")


def test_there_are_enough_of_them_everywhere():
    assert len(FAULTS) >= 100
    assert len(set(FAULTS)) == len(FAULTS)
    for part in CHECKED:
        assert any(file.startswith(part) for file, *_ in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_each_fault_can_be_put_in_and_leaves_python(fault):
    file, old, new, tests = fault
    text = (LIBRARY / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    assert new != old
    ast.parse(text.replace(old, new))
    assert all((LIBRARY.parent / test).exists() for test in tests)
