"""What a block says of itself, how specs are read, and how families are registered."""

import dataclasses
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from structlat_jax import latents
from structlat_jax.config import Config
from structlat_jax.latents import (
    FAMILIES,
    LatentSpecError,
    block_names,
    latent_space,
    spec_help,
    whole_numbers,
)
from structlat_jax.shapes import make_key

SPECS = ["dir:2x4", "dir:1x9", "cat:1x3", "gau:3", "vmf:2"]


def block_of(spec):
    (block,) = latent_space(spec).blocks
    return block


@pytest.mark.parametrize("spec", SPECS)
def test_a_traversal_and_its_rest_are_values_of_a_variable(spec):
    block = block_of(spec)
    size = block.groups[1]
    assert block.rest.shape == (size,)
    assert block.traversal.shape == (len(block.traversal), size)
    values = np.concatenate([block.rest[None], block.traversal])
    if block.kind == "simplex":
        assert np.min(values) >= 0
        np.testing.assert_allclose(values.sum(-1), 1.0, rtol=1e-12)
    else:
        assert block.kind == "real"
        assert not block.discrete
    if block.discrete:
        assert set(np.unique(values)) == {0.0, 1.0}
    if block.family == "vmf":
        np.testing.assert_allclose(np.linalg.norm(values, axis=-1), 1.0, rtol=1e-12)


def test_every_family_is_among_them():
    assert {block_of(spec).family for spec in SPECS} == set(FAMILIES)


def test_a_number_goes_from_minus_two_to_two():
    block = block_of("gau:3")
    np.testing.assert_array_equal(block.rest, [0.0])
    np.testing.assert_array_equal(block.traversal, np.linspace(-2.0, 2.0, 17)[:, None])


def test_classes_are_taken_one_by_one():
    block = block_of("cat:2x3")
    assert block.discrete
    np.testing.assert_array_equal(block.traversal, np.eye(3))
    np.testing.assert_array_equal(block.rest, [1.0, 0.0, 0.0])


@pytest.mark.parametrize(("classes", "pairs"), [(2, 1), (3, 3), (6, 15), (7, 7), (10, 10)])
def test_weights_go_from_every_class_to_every_other_or_with_many_to_the_next(classes, pairs):
    block = block_of(f"dir:2x{classes}")
    corners, between = block.traversal[:classes], block.traversal[classes:]
    np.testing.assert_array_equal(corners, np.eye(classes))
    assert len(between) == 7 * pairs
    assert np.all(np.sum(between > 0, axis=-1) == 2)
    mixed = {tuple(np.flatnonzero(weights)) for weights in between}
    everyone = set(itertools.combinations(range(classes), 2))
    assert mixed == everyone if classes <= 6 else len(mixed) == classes
    np.testing.assert_allclose(block.rest, 1.0 / classes)


def test_directions_pass_all_six_poles_in_small_steps():
    tour = block_of("vmf:1").traversal
    assert np.max(np.linalg.norm(np.diff(tour, axis=0), axis=-1)) < 0.4
    for pole in (*np.eye(3), *-np.eye(3)):
        assert np.min(np.linalg.norm(tour - pole, axis=-1)) < 1e-12


@pytest.mark.parametrize("spec", SPECS)
def test_blocks_can_be_static_arguments(spec):
    block = block_of(spec)
    assert block == block_of(spec)  # one program serves both
    assert hash(block) == hash(block_of(spec))
    (other,) = latent_space(spec, alpha=0.7).blocks
    assert block != other


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("dir:2x4,gau:2", ["dir:2x4", "gau:2"]),
        ("gau:2,gau:2", ["gau:2#1", "gau:2#2"]),
        ("gau:1,cat:1x3,gau:1", ["gau:1#1", "cat:1x3", "gau:1#2"]),
    ],
)
def test_names_of_blocks_differ(spec, names):
    assert block_names(latent_space(spec)) == names


def test_the_library_makes_the_spaces_that_training_uses():
    for spec in ("dir:2x4", "cat:1x3,gau:2"):
        configured = Config().replace(latent=spec).latent_space()
        assert configured.options == latent_space(spec).options


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_says_how_it_is_written(family):
    assert FAMILIES[family.name] is family
    assert family.example in spec_help()
    assert str(latent_space(family.example)) == family.example
    assert len(family.form.split("x")) == len(family.example.split("x"))
    assert all(letter in family.text for letter in family.form if letter.isupper())


ALLOWED = "dir:2x4, cat:2x4, gau:2 or vmf:2"
BAD_SPECS = {
    "dir:2x1": "K must be at least 2 in dir:VxK",
    "dir:0x4": "V must be at least 1 in dir:VxK",
    "dir:2": "whole numbers of at most 9999 in dir:VxK, V Dirichlet variables of K classes",
    "dir:2x10000": "at most 9999",
    "cat:3": "cat:VxK, V categorical variables",
    "cat:2x1": "K must be at least 2",
    "gau:2x3": "N must be a whole number of at most 9999 in gau:N",
    "gau:0": "at least 1",
    "gau:-1": "gau:N",
    "gau:": "gau:N",
    "gau": "gau:N",
    "gau: 2": "gau:N",
    "gau:²": "gau:N",
    "vmf:2x3": "vmf:V",
    "foo:3": ALLOWED,
    "": ALLOWED,
    "dir:2x4,": ALLOWED,
    "GAU:2": ALLOWED,
}


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_bad_specs_raise_and_name_what_is_allowed(spec):
    with pytest.raises(LatentSpecError) as error:
        latent_space(spec)
    assert BAD_SPECS[spec] in str(error.value)
    assert spec.split(",")[-1] in str(error.value)


def test_a_family_of_ones_own_is_one_entry(monkeypatch):
    def make(sizes, options):
        block = FAMILIES["gau"].make(sizes, options)
        return dataclasses.replace(block, spec=f"own:{sizes}", family="own")

    own = latents.Family("own", "N", "N numbers of one's own", "own:3", make)
    monkeypatch.setitem(FAMILIES, own.name, own)
    assert str(latent_space("own:3,gau:1")) == "own:3,gau:1"
    assert spec_help().endswith("or own:3, joined by commas")
    assert Config().replace(latent="own:2").latent_space().dim == 2
    with pytest.raises(LatentSpecError, match="own:N, N numbers of one's own"):
        latent_space("own:x")


def test_sizes_are_whole_numbers():
    assert whole_numbers("7", N=1) == (7,)
    assert whole_numbers("2x04", V=1, K=2) == (2, 4)
    for sizes, what in {"2x": "whole", "x": "whole", "2x4x1": "whole", "1x1": "K .* 2"}.items():
        with pytest.raises(ValueError, match=what):
            whole_numbers(sizes, V=1, K=2)


def test_distrax_loads_where_it_is_used():
    """It takes longer to import than all the rest."""
    for path in Path(latents.__file__).parent.glob("*.py"):
        assert "\nimport distrax" not in path.read_text(), path


def test_draws_from_the_prior_do_without_distrax(monkeypatch):
    """All that an agent needs of its latents when it is loaded."""
    monkeypatch.setitem(sys.modules, "distrax", None)
    space = latents.latent_space("dir:1x3,gau:1,cat:1x2,vmf:1")
    assert space.sample_prior(make_key(0), (2,)).shape == (2, space.dim)
