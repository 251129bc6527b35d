"""The suite end to end, with rows that are made up instead of trained."""

import functools
import json
import signal

import made_up
import numpy as np
import pytest
from folders import listing
from program import assert_refused
from tiny import SIZES

import structlat_jax.report.figures_style as style
from structlat_jax.cli import commands, suite
from structlat_jax.envs import make, registry
from structlat_jax.envs.families import KNOWN, named
from structlat_jax.envs.spec import parse_options
from structlat_jax.errors import InputError
from structlat_jax.report import album, contrasts, suite_text
from structlat_jax.run import lanes

MADE = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items() if k != "latent"]
MADE += ["--seeds=3", "--families", "triangle+gain=0.3;speed_mix"]


@pytest.fixture
def run_here(in_process, monkeypatch):
    monkeypatch.setattr(album, "FORMATS", ("png",))
    monkeypatch.setattr(style, "DPI", 30)
    return functools.partial(in_process, commands.suite)


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


@pytest.mark.parametrize("text", KNOWN)
def test_the_known_families_can_be_made(text):
    name, own = named(text)
    env = make(name, **parse_options(own))
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


def test_differences_are_paired_by_seed(folder):
    """Of all that a latent may be better in, from the same numbers as the rows themselves."""
    built = json.loads((folder / "suite.json").read_text())["triangle+gain=0.3"]
    first, *others = built["rows"]
    for row in others:
        found = row["contrasts"]
        assert list(found) == list(contrasts.MEASURES)
        ours, theirs = (np.array(one["test_return"]["per_seed"]) for one in (row, first))
        assert found["test_return"]["per_seed"] == pytest.approx((ours - theirs).tolist())
        for name in ("first_posterior_return", "tasks_reached_by_prior"):
            assert found[name]["mean"] == pytest.approx(row[name] - first[name], abs=1e-6)
        for name in ("amortised_return", "test_success"):
            difference = row[name]["mean"] - first[name]["mean"]
            assert found[name]["mean"] == pytest.approx(difference, abs=1e-6)
    _, _, differences, _ = suite_text.sections("triangle+gain=0.3", built)
    assert [row[0] for row in differences.rows] == [row["latent"] for row in others]
    assert differences.rows[0][1].startswith(
        f"{others[0]['contrasts']['test_return']['mean']:+.2f}"
    )


def test_a_family_of_one_latent_has_no_differences(folder):
    built = json.loads((folder / "suite.json").read_text())["speed_mix"]
    alone = {**built, "rows": built["rows"][:1]}
    assert len(suite_text.sections("speed_mix", alone)) == 3


def test_columns_that_nobody_fills_are_left_out(folder):
    built = json.loads((folder / "suite.json").read_text())["speed_mix"]
    before = suite_text.sections("speed_mix", built)
    assert "% of\noracle" in before[0].heads
    for row in built["rows"]:
        row |= {"percent_of_oracle": None, "recovery": {}}
    after = suite_text.sections("speed_mix", built)
    gone = [set(old.heads) - set(new.heads) for old, new in zip(before, after, strict=True)]
    assert gone == [{"% of\noracle"}, set(), set(), {"R^2 of mixture"}]
    for row in built["rows"]:
        row |= {"test_success": None, "tasks_reached_by_prior": None}
    assert len(suite_text.sections("speed_mix", built)) == 3  # nothing says what is solved
    assert all(len(row) == len(one.heads) for one in after for row in one.rows)


PICTURES = {
    f"{name}.png" for name in ("adaptation_curves", "solved_curves", "prior_coverage", "recovery")
}


def test_every_family_has_its_pictures(folder):
    text = (folder / "suite.md").read_text()
    for name in ("triangle-gain-0.3", "speed_mix"):
        drawn = {path.name for path in (folder / name).glob("*.png")}
        assert drawn == PICTURES
        assert all(f"]({name}/{picture})" in text for picture in drawn)


def test_resume_draws_again_and_says_what(folder, run_here):
    (folder / "speed_mix" / "recovery.png").unlink()
    done = run_here("--resume", "--out", folder)
    drawn = "adaptation_curves, solved_curves, prior_coverage, recovery "
    assert f"{folder / 'speed_mix'} holds {drawn}" in done.out
    assert {path.name for path in (folder / "speed_mix").glob("*.png")} == PICTURES


def test_resume_repeats_nothing_and_refuses_another_suite(folder, run_here, trained):
    trained.clear()
    assert run_here("--resume", "--out", folder).code == 0
    assert trained == []
    before = listing(folder)
    for more in (["--families", "triangle"], ["--latents", "gau:2"], ["--seeds", 5]):
        assert more[0] in assert_refused(run_here("--resume", *more, "--out", folder))
        assert listing(folder) == before


def test_resume_of_a_folder_that_is_no_suite(run_here, tmp_path):
    for out in (tmp_path, tmp_path / "absent"):
        said = assert_refused(run_here("--resume", "--out", out))
        assert "--resume needs the folder of a suite" in said
        assert str(out) in said
        assert not list(tmp_path.iterdir())


def settings_of(folder):
    """The configurations of all families by the names of their folders."""
    return {path.parent.name: path.read_text() for path in folder.glob("*/table_config.json")}


def test_an_interrupted_suite_goes_on_where_it_was(tmp_path, run_here, trained, monkeypatch):
    out = tmp_path / "suite"
    whole = lanes.train

    def once(group, folder, logger):
        if trained and group.members[0].folder.parent.name == "speed_mix":
            signal.raise_signal(signal.SIGINT)
        whole(group, folder, logger)

    with monkeypatch.context() as patch:
        patch.setattr(lanes, "train", once)
        done = run_here(*MADE, "--lr", "0.002", "--out", out)
    assert (done.code, done.out.split()[-1]) == (130, str(out))
    assert families_of(trained) == {"triangle-gain-0.3"}
    before = settings_of(out)
    assert set(before) == {"triangle-gain-0.3", "speed_mix"}
    trained.clear()
    assert run_here("--resume", "--out", out).code == 0
    assert families_of(trained) == {"speed_mix"}
    assert settings_of(out) == before  # what was asked for at first, without being asked again
    assert (out / "suite.md").exists()


def test_every_environment_is_made_once(tmp_path, run_here, trained, monkeypatch):
    asked, make_env = [], registry.make

    def counted(name, **options):
        asked.append(name)
        return make_env(name, **options)

    monkeypatch.setattr(registry, "make", counted)
    assert run_here(*MADE, "--out", tmp_path / "suite").code == 0
    assert asked == ["triangle", "speed_mix"]


def test_code_that_a_folder_names_is_not_run(folder, run_here):
    (folder / "ours.py").write_text("raise SystemError('it was run')")
    name = f"{folder / 'ours.py'}+gain=0.3"
    marker = folder / suite.MARKER
    marker.write_text(json.dumps({"families": [name], "latents": []}))
    said = assert_refused(run_here("--resume", "--out", folder))
    assert f"{name} is code of its own, which is not run unasked: give --families again" in said


def test_a_family_that_was_never_begun(folder, run_here):
    (folder / "speed_mix" / "table_config.json").unlink()
    said = assert_refused(run_here("--resume", "--out", folder))
    assert "speed_mix is not a run folder: it has no table_config.json" in said


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
