"""Which numbers are shown where not all of them can be, and in which colours."""

import numpy as np
import pytest
from tiny import config

from structlat_jax.report.figures_style import PALETTE, of_episode
from structlat_jax.report.parts import believed, most_varied, title


def test_of_many_numbers_those_that_vary_are_shown_in_order():
    moves = np.linspace(-1.0, 1.0, 12).reshape(3, 4)[..., None] * np.array([0.0, 3.0, 0.1, 2.0])
    np.testing.assert_array_equal(most_varied(moves, 2), [1, 3])
    np.testing.assert_array_equal(most_varied(moves, 9), [0, 1, 2, 3])


def test_episodes_of_the_prior_have_a_colour_of_their_own():
    assert [of_episode(number, 2) for number in range(4)] == [PALETTE[5]] * 2 + [PALETTE[0]] * 2


@pytest.mark.parametrize(
    ("algorithm", "name", "blocks"),
    [
        ("pearl", "dir:1x3,gau:1", 2),
        ("varibad", "varibad dir:1x3,gau:1", 2),
        ("pearl-belief", "pearl-belief dir:1x3,gau:1", 2),
        ("rl2", "rl2", 0),
        ("oracle", "oracle", 0),
        ("maml", "maml", 0),
    ],
)
def test_agents_without_a_z_are_not_called_by_one(algorithm, name, blocks):
    made = config(algorithm=algorithm, latent="dir:1x3,gau:1", adapt_episodes=2, minibatches=1)
    assert title(made) == name
    assert len(believed(made).blocks) == blocks
