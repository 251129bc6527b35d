"""What a configuration may say, and an environment cannot have."""

import dataclasses

import choices
import pytest
from tiny import HORIZON, config, line

import structlat_jax as sl
from structlat_jax.config import ConfigError
from structlat_jax.errors import InputError
from structlat_jax.train.setup import assemble, make_setup


def test_an_episode_has_no_more_parts_than_steps():
    assert make_setup(config(eval_draws=HORIZON), line())
    with pytest.raises(ConfigError, match=f"eval_draws must be at most {HORIZON}, the steps in"):
        make_setup(config(eval_draws=HORIZON + 1), line())


@pytest.mark.parametrize(
    ("target", "good"), [(-1.0, False), (0.0, False), (0.2, True), (0.6, False)]
)
def test_choices_have_an_entropy_between_none_and_that_of_chance(target, good):
    """Three of them have log 3 nats at most: 0.366 per choice."""
    env = choices.chain()
    assert env.action_dim == 3
    made = config(entropy_control="learned", entropy_target=target)
    if good:
        assert make_setup(made, env)
    else:
        with pytest.raises(ConfigError, match=r"entropy_target must be above 0 and below 0\.366"):
            make_setup(made, env)
    assert make_setup(config(entropy_target=target), env)  # which nothing reads there


def test_an_inference_of_ones_own_is_not_replaced():
    usual = make_setup(config(), line())
    own = assemble(usual, dataclasses.replace(usual.inference, name="own"))
    tasks, key = line().sample_tasks(sl.shapes.make_key(0), 2), sl.shapes.make_key(1)
    assert not own.described
    with pytest.raises(InputError, match="eval_episodes would change"):
        sl.evaluate(None, tasks, key, setup=own, eval_episodes=6)
