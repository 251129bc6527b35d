"""Places on the unit sphere: regular where there is a regular answer."""

import numpy as np
import pytest

from structlat_jax.envs.spread import on_sphere


@pytest.mark.parametrize(
    ("count", "dimensions"), [(2, 1), (3, 2), (7, 2), (4, 3), (3, 3), (6, 3), (5, 4), (9, 5)]
)
def test_all_of_length_one_and_apart(count, dimensions):
    places = on_sphere(count, dimensions)
    assert places.shape == (count, dimensions)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1.0, atol=1e-6)
    cosine = places @ places.T - 2.0 * np.eye(count)
    assert cosine.max() < 0.9
    np.testing.assert_allclose(places, on_sphere(count, dimensions))


@pytest.mark.parametrize(("count", "dimensions"), [(2, 1), (3, 2), (4, 3), (3, 3), (2, 4), (5, 4)])
def test_a_simplex_is_regular(count, dimensions):
    places = on_sphere(count, dimensions)
    expected = np.where(np.eye(count), 1.0, -1.0 / (count - 1))
    np.testing.assert_allclose(places @ places.T, expected, atol=1e-6)


def test_a_polygon_starts_on_the_first_axis():
    np.testing.assert_allclose(on_sphere(4, 2), [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-12)


def test_six_in_space_are_an_octahedron():
    cosine = np.sort(on_sphere(6, 3) @ on_sphere(6, 3).T, axis=1)
    expected = np.broadcast_to([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0], (6, 6))
    np.testing.assert_allclose(cosine, expected, atol=0.01)


def test_a_line_has_two():
    with pytest.raises(ValueError, match="anchors on a line are two at most, not 3"):
        on_sphere(3, 1)
