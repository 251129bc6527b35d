"""The suite end to end, with rows that are made up instead of trained."""

import functools
import json
import signal

import made_up
import pytest
from folders import listing
from program import assert_refused
from tiny import SIZES

from experiments import suite
from structlat_jax.envs import make
from structlat_jax.errors import InputError
from structlat_jax.report import suite_text
from structlat_jax.run import lanes

MADE = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items() if k != "latent"]
MADE += ["--seeds=3", "--families", "triangle+gain=0.3;speed_mix"]


@pytest.fixture
def run_here(in_process):
    return functools.partial(in_process, suite.command)


@pytest.fixture
def trained(monkeypatch):
    """Each latent returns 2 more than the one before it, in every family."""

    def returns(member):
        base = 4.0 + 2.0 * ["gau", "dir", "cat"].index(member.label[:3])
        return [base, base + 1, base]

    def said(member):
        kl = dict.fromkeys(member.label.split(","), 1.25)
        return {
            "kl_nats": kl,
            "block_used": dict.fromkeys(kl, 1.0),
            "recovery": {"mixture": dict.fromkeys(kl, 0.5)},
            "recovery_matched": {"mixture": {}},
            "env": member.plan.config.env.name,
            "env_options": dict(member.env.spec.options),
        }

    return made_up.in_place_of_training(monkeypatch, returns, said)


def families_of(trained):
    return {member.folder.parent.name for group in trained for member in group}


@pytest.fixture
def folder(tmp_path, run_here, trained):
    done = run_here(*MADE, "--out", tmp_path / "suite")
    assert done.code == 0, done.err
    return tmp_path / "suite"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (make("triangle"), ["gau:3", "dir:1x3", "cat:1x3"]),
        (make("triangle", drift=0.1), ["gau:5", "dir:1x3,gau:2", "cat:1x3,gau:2"]),
        (make("tetrahedron"), ["gau:4", "dir:1x4", "cat:1x4"]),
        (make("point_robot"), ["gau:2", "dir:1x2", "cat:1x2"]),
        (make("drive_mix"), ["gau:5", "dir:1x3,gau:2", "cat:1x3,gau:2"]),
    ],
)
def test_the_ground_truth_says_which_latents_are_natural(env, expected):
    assert suite.natural_latents(env) == expected


def test_without_a_mixture_nothing_is_natural():
    from tiny import line

    with pytest.raises(InputError, match="line has no factor called mixture"):
        suite.natural_latents(line())


@pytest.mark.parametrize("name", suite.FAMILIES)
def test_the_default_families_can_be_made(name):
    env = suite.made(name)
    assert suite.natural_latents(env)
    assert env.oracle_return is not None


def test_every_family_has_its_latents_and_its_options(folder, trained):
    made = [member for group in trained for member in group]
    found = [(member.folder.parent.name, member.label, member.env.spec.options) for member in made]
    assert found == [
        ("triangle-gain-0.3", "gau:4", (("gain", 0.3),)),
        ("triangle-gain-0.3", "dir:1x3,gau:1", (("gain", 0.3),)),
        ("triangle-gain-0.3", "cat:1x3,gau:1", (("gain", 0.3),)),
        ("speed_mix", "gau:5", ()),
        ("speed_mix", "dir:1x3,gau:2", ()),
        ("speed_mix", "cat:1x3,gau:2", ()),
    ]


def test_each_latent_is_compared_with_the_gaussian(folder):
    found = json.loads((folder / "suite.json").read_text())
    assert list(found) == ["triangle+gain=0.3", "speed_mix"]
    for built in found.values():
        first, *others = built["rows"]
        assert first["latent"].startswith("gau:")
        assert [one["against"] for one in built["comparisons"]] == [first["latent"]] * 2
        assert all(row["recovery"]["mixture"] for row in (first, *others))
    text = (folder / "suite.md").read_text()
    assert "## triangle+gain=0.3" in text
    assert "R^2 of mixture" in text
    assert "dir:1x3 1.25 (100 %), gau:2 1.25 (100 %)" in text


def test_columns_that_nobody_fills_are_left_out(folder):
    built = json.loads((folder / "suite.json").read_text())["speed_mix"]
    before = [heads for heads, _ in suite_text.cells(built)]
    assert "% of oracle" in before[0]
    for row in built["rows"]:
        row |= {"percent_of_oracle": None, "recovery": {}}
    after = suite_text.cells(built)
    gone = [set(old) - set(heads) for old, (heads, _) in zip(before, after, strict=True)]
    assert gone == [{"% of oracle"}, {"R^2 of mixture"}]
    assert all(len(row) == len(heads) for heads, rows in after for row in rows)


def test_resume_repeats_nothing_and_refuses_another_suite(folder, run_here, trained):
    trained.clear()
    assert run_here("--resume", "--out", folder).code == 0
    assert trained == []
    before = listing(folder)
    for more in (["--families", "triangle"], ["--latents", "gau:2"], ["--seeds", 5]):
        assert more[0] in assert_refused(run_here("--resume", *more, "--out", folder))
        assert listing(folder) == before


def test_an_interrupted_suite_goes_on_where_it_was(tmp_path, run_here, trained, monkeypatch):
    whole = lanes.train

    def once(group, out, logger):
        if trained and group.members[0].folder.parent.name == "speed_mix":
            signal.raise_signal(signal.SIGINT)
        whole(group, out, logger)

    with monkeypatch.context() as patch:
        patch.setattr(lanes, "train", once)
        assert run_here(*MADE, "--out", tmp_path / "suite").code == 130
    assert families_of(trained) == {"triangle-gain-0.3"}
    trained.clear()
    assert run_here("--resume", "--out", tmp_path / "suite").code == 0
    assert families_of(trained) == {"speed_mix"}
    assert (tmp_path / "suite" / "suite.md").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--families", "nowhere"], "env must be one of point_robot"),
        (["--families", "triangle+spin=3"], "has no option 'spin'"),
        (["--families", "triangle+gain"], "NAME=VALUE"),
        (["--families", "triangle;triangle"], "--families must differ"),
        (["--latents", "foo:3"], "foo:3"),
        (["--width", "0"], "--width must be at least 1"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(tmp_path, run_here, given, said):
    done = run_here(*MADE[:-2], *given, "--out", tmp_path / "suite")
    assert said in assert_refused(done)
    assert list(tmp_path.iterdir()) == []
