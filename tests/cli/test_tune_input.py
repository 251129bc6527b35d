"""What a search is not to be is said in one sentence, and nothing is written."""

import functools
import sys

import pytest
from program import assert_refused, must_not_start

from structlat_jax.cli import commands
from structlat_jax.run import lanes


@pytest.fixture
def tune(in_process):
    return functools.partial(in_process, commands.tune)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "--search: nothing is searched"),
        ("--search lr", "FIELD=VALUE"),
        ("--search colour=1:2", "FIELD=VALUE"),
        ("--search seeds=1:3", "FIELD=VALUE"),
        ("--search lr=1:", "a number"),
        ("--search lr=0.1", "one value"),
        ("--search lr=0.1,0.1", "differ"),
        ("--search lr=2:1", "below its end"),
        ("--search lr=1:1", "below its end"),
        ("--search lr=nan:1", "below its end"),
        ("--search lr=1:inf", "lr must be"),
        ("--search lr=-1:1", "lr must be above 0"),
        ("--search silent_kl=0:1:log", "above 0"),
        ("--search lr=1:2:linear", "LOW:HIGH:log"),
        ("--search width=1.5:3", "a whole number"),
        ("--search width=0:3", "width must be"),
        ("--search hypotheses=256:1024", "a power of two"),
        ("--search choice=greedy:thompson", "values with commas"),
        ("--search choice=greedy,nobody", "choice must be"),
        ("--search latent=gau:2", "--latents"),
        ("--search context_episodes_min=1:99", "at most context_episodes"),
        ("--search eval_episodes=5:9 --search eval_prior_episodes=4:5", "below eval_episodes"),
        ("--search lr=0.1:0.2 --search lr=0.1,0.2", "twice"),
        ("--search lr=0.1:0.2 --lr 0.1", "--lr is searched"),
        ("--latents gau:2;gau:2", "twice"),
        ("--search choice=greedy,thompson", "--trials must be at most 2"),
        ("--search lr=0.1:0.2 --trials 0", "--trials"),
        ("--search lr=0.1:0.2 --batch 0", "--batch"),
        ("--search lr=0.1:0.2 --sampler grid", "--sampler"),
        ("--search posterior=task,truth --env own.py", "posterior must be"),
    ],
)
def test_wrong_input_is_refused(tmp_path, tune, monkeypatch, arguments, said):
    monkeypatch.setattr(lanes, "train_all", must_not_start)
    monkeypatch.chdir(tmp_path)
    own = "import dataclasses\nfrom structlat_jax.envs import point_robot\ndef make():\n"
    own += "    return dataclasses.replace(point_robot.make(), factors=None)\n"
    (tmp_path / "own.py").write_text(own)
    before = {*tmp_path.iterdir(), tmp_path / "__pycache__"}
    assert said in assert_refused(tune(*arguments.split(), "--out", tmp_path / "out"))
    assert set(tmp_path.iterdir()) <= before


def test_what_it_needs_is_said_in_one_sentence(tune, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = assert_refused(tune("--search", "lr=0.1:0.2", "--out", tmp_path / "out"))
    assert "pip install 'structlat-jax[tune]'" in said
    assert not (tmp_path / "out").exists()
