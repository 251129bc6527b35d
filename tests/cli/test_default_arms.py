"""Arms that nobody asked for: those that a run cannot have are left out."""

import functools

import made_up
import pytest
from tiny import config

from structlat_jax.cli import evaluate
from structlat_jax.errors import InputError
from structlat_jax.store.checkpoint import write_config

DEFAULT = ("choice=thompson;inference=amortised;eval_prior_episodes=1;eval_draws=2",)


def arms(folder, given, default, **changes):
    made = made_up.run_of(config(**changes), [1.0], folder)
    folder.mkdir(exist_ok=True)
    write_config(folder, made.config)
    return evaluate._configs(folder, given, default)


def test_one_that_changes_nothing(tmp_path):
    own = functools.partial(arms, tmp_path / "run", DEFAULT, eval_draws=2)
    assert list(own(default=True)) == [
        "unchanged",
        "choice=thompson",
        "inference=amortised",
        "eval_prior_episodes=1",
    ]
    with pytest.raises(InputError, match="--arms: eval_draws=2 changes nothing"):
        own(default=False)


def test_one_that_the_environment_cannot_have():
    import host_line

    env = host_line.line()
    one, two = config(), config(eval_draws=2)
    found = evaluate._setups({"unchanged": one, "eval_draws=2": two}, env, default=True)
    assert list(found) == ["unchanged"]
    with pytest.raises(InputError, match=r"--arms: eval_draws=2: eval_draws must be 1 on line"):
        evaluate._setups({"unchanged": one, "eval_draws=2": two}, env, default=False)


def test_one_that_nothing_reads(tmp_path):
    """Agents that act on a belief choose no z."""
    own = functools.partial(arms, tmp_path / "run", algorithm="pearl-belief")
    assert list(own(DEFAULT, True)) == ["unchanged", "eval_prior_episodes=1"]
    said = "choice=thompson changes nothing: choice is not read (that takes algorithm pearl"
    with pytest.raises(InputError) as caught:
        own(("choice=thompson",), False)
    assert said in str(caught.value)
    both = own(("choice=thompson+eval_prior_episodes=1",), False)
    assert list(both) == ["unchanged", "choice=thompson+eval_prior_episodes=1"]
