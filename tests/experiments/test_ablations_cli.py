"""Ablations end to end, with rows that are made up instead of trained."""

import functools
import json

import made_up
import pytest
from folders import listing
from program import assert_refused
from tiny import SIZES

from experiments import ablations
from structlat_jax.cli import changes
from structlat_jax.config import preset
from structlat_jax.envs import point_robot

SMALL = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items()]
MADE = [
    *SMALL,
    "--seeds=3",
    "--arms",
    "prior_factor=false;kl=exact+alpha=0.5",
    "--arms",
    "lr_end=1",
]
ARMS = ["unchanged", "prior_factor=false", "kl=exact+alpha=0.5", "lr_end=1"]


@pytest.fixture
def run_here(in_process):
    return functools.partial(in_process, ablations.command)


@pytest.fixture
def trained(monkeypatch):
    """Each arm returns 2 more than the one before it; the groups that were asked for."""

    def returns(member):
        base = 4.0 + 2.0 * ARMS.index(member.label)
        return [base, base + 1, base]

    return made_up.in_place_of_training(monkeypatch, returns)


@pytest.fixture
def folder(tmp_path, run_here, trained):
    done = run_here(*MADE, "--out", tmp_path / "arms")
    assert done.code == 0, done.err
    return tmp_path / "arms"


def test_every_arm_changes_what_it_says(folder, trained):
    plans = {arm.folder.name: arm.plan for group in trained for arm in group}
    base = plans.pop("unchanged").config
    changes = {
        "prior_factor-false": {"prior_factor": False},
        "kl-exact-alpha-0.5": {"kl": "exact", "alpha": 0.5},
        "lr_end-1": {"lr_end": 1.0},
    }
    assert {name: plan.config for name, plan in plans.items()} == {
        name: base.replace(**change) for name, change in changes.items()
    }


def test_arms_of_one_shape_train_together(folder, trained):
    names = [[arm.folder.name for arm in group] for group in trained]
    assert names == [["unchanged", "lr_end-1"], ["prior_factor-false"], ["kl-exact-alpha-0.5"]]


def test_each_arm_is_compared_with_the_unchanged_one(folder):
    found = json.loads((folder / "table.json").read_text())
    assert [row["latent"] for row in found["rows"]] == ARMS
    assert [(one["latent"], one["against"]) for one in found["comparisons"]] == [
        (arm, "unchanged") for arm in ARMS[1:]
    ]
    means = [one["difference"]["mean"] for one in found["comparisons"]]
    assert means == pytest.approx([2.0, 4.0, 6.0])
    assert "Each row against the first" in (folder / "table.md").read_text()


def test_resume_repeats_nothing_and_refuses_other_arms(folder, run_here, trained):
    trained.clear()
    assert run_here("--resume", "--out", folder).code == 0
    assert trained == []
    before = listing(folder)
    done = run_here("--resume", "--arms", "lr_end=1", "--out", folder)
    assert "--arms" in assert_refused(done)
    assert listing(folder) == before


def test_the_default_arms_are_allowed_on_the_papers_task():
    made = changes.arms(preset(None, point_robot.make())[0], list(ablations.DEFAULT_ARMS))
    assert len(made) == 1 + len(ablations.DEFAULT_ARMS)


def test_default_arms_that_change_nothing_are_left_out(tmp_path, run_here, monkeypatch):
    """And the folder of those that are left is resumed."""
    trained = made_up.in_place_of_training(monkeypatch, lambda member: [1.0, 2.0, 3.0])
    out = tmp_path / "arms"
    done = run_here(*SMALL, "--seeds=3", "--kl=exact", "--task-focus=0", "--out", out)
    assert done.code == 0, done.err
    labels = [member.label for group in trained for member in group]
    gone = {"kl=exact", "task_focus=0"}
    assert set(labels) == {"unchanged", *ablations.DEFAULT_ARMS} - gone
    trained.clear()
    assert run_here("--resume", "--out", out).code == 0
    assert trained == []


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("", "FIELD=VALUE"),
        ("bridge", "FIELD=VALUE"),
        ("colour=red", "FIELD=VALUE"),
        ("width=wide", "a whole number"),
        ("prior_factor=maybe", "true or false"),
        ("bridge=golden", "bridge"),
        ("bridge=projected", "changes nothing"),
        ("kl=exact;kl=exact", "twice"),
    ],
)
def test_wrong_arms_are_refused(tmp_path, run_here, arms, said):
    done = run_here("--arms", arms, "--out", tmp_path / "arms")
    assert "--arms" in assert_refused(done)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []
