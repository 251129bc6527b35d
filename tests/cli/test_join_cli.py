"""Suites of other seeds joined, with rows that are made up instead of trained."""

import functools
import json

import made_up
import numpy as np
import pytest
from folders import listing
from program import assert_refused
from tiny import SIZES

import structlat_jax.report.figures_style as style
from structlat_jax.cli import commands, finished_commands
from structlat_jax.report import album
from structlat_jax.report.names import slug

MADE = [f"--{k.replace('_', '-')}={v}" for k, v in SIZES.items() if k != "latent"]
FAMILIES, LATENTS = "triangle+gain=0.3;speed_mix", "gau:4;dir:1x3,gau:1"
VALUES = np.array([4.0, 8.0, 6.0, 2.0, 9.0])


@pytest.fixture
def trained(monkeypatch):
    """Seed for seed the second latent returns 1 more than the first."""

    def seeds_of(member):
        first = member.plan.seed
        return np.arange(first, first + member.plan.seeds)

    def returns(member):
        return (VALUES[seeds_of(member)] + (member.label[:3] == "dir")).tolist()

    def said(member):
        kl = {name: float(seeds_of(member).mean()) for name in member.label.split(",")}
        return {
            "seeds": member.plan.seeds,
            "first_seed": member.plan.seed,
            "device": "1 x cpu",
            "wall_seconds": 10.0 + 30.0 * member.plan.seeds,
            "kl_nats": kl,
            "block_used": dict.fromkeys(kl, 1.0),
            "env": member.plan.config.env.name,
            "env_options": dict(member.env.spec.options),
        }

    return made_up.in_place_of_training(monkeypatch, returns, said)


@pytest.fixture
def run_suite(in_process, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(album, "FORMATS", ("png",))
    monkeypatch.setattr(style, "DPI", 30)

    def run(name, seed, seeds, *more, families=FAMILIES, latents=LATENTS):
        out = tmp_path / name
        what = ("--families", families, "--latents", latents, "--seed", seed, "--seeds", seeds)
        done = in_process(commands.suite, *MADE, *what, *more, "--out", out)
        assert done.code == 0, done.err
        return out

    return run


@pytest.fixture
def join(in_process):
    return functools.partial(in_process, finished_commands.join)


def test_a_joined_suite_is_the_suite_of_all_seeds(run_suite, join, tmp_path):
    whole, out = run_suite("whole", 0, 5), tmp_path / "joined"
    parts = [run_suite("second", 2, 3), run_suite("first", 0, 2)]
    before = [listing(part) for part in parts]
    done = join(*parts, "--out", out)
    assert done.code == 0, done.err
    built = json.loads((out / "suite.json").read_text())
    assert built == json.loads((whole / "suite.json").read_text())
    assert (out / "suite.md").read_text() == (whole / "suite.md").read_text()
    assert list(built) == ["triangle+gain=0.3", "speed_mix"]
    row = built["speed_mix"]["rows"][1]
    assert row["contrasts"]["test_return"]["per_seed"] == pytest.approx([1.0] * 5)
    pictures = {path.relative_to(whole) for path in whole.rglob("*.png")}
    assert pictures
    assert {path.relative_to(out) for path in out.rglob("*.png")} == pictures
    assert [listing(part) for part in parts] == before


def test_what_cannot_be_joined_changes_nothing(run_suite, join, tmp_path):
    first, out = run_suite("first", 0, 2), tmp_path / "joined"
    again = run_suite("again", 1, 2)
    gap = run_suite("gap", 3, 2)
    others = run_suite("others", 2, 2, "--lr", "0.002")
    fewer = run_suite("fewer", 2, 2, families="speed_mix")
    latents = run_suite("latents", 2, 2, latents="gau:4")
    assert "both have seed 1" in assert_refused(join(first, again, "--out", out))
    assert "no seeds in between: 2 missing" in assert_refused(join(first, gap, "--out", out))
    assert "differ in more than their seeds" in assert_refused(join(first, others, "--out", out))
    said = assert_refused(join(first, fewer, "--out", out))
    assert f"{fewer} compares speed_mix, but {first} compares triangle" in said
    said = assert_refused(join(first, latents, "--out", out))
    assert f"{latents} has gau:4 on triangle+gain=0.3, but {first} has gau:4; dir:1x3,gau:1" in said
    said = assert_refused(join(first, tmp_path, "--out", out))
    assert f"structlat join needs the folder of a suite: {tmp_path}" in said
    assert not out.exists()


def test_a_suite_that_is_there_is_not_written_over(run_suite, join):
    first, second = run_suite("first", 0, 2), run_suite("second", 2, 2)
    before = listing(first)
    assert "must be a new or an empty folder" in assert_refused(join(first, second, "--out", first))
    assert listing(first) == before


def test_a_family_that_is_not_finished(run_suite, join, tmp_path):
    first, second = run_suite("first", 0, 2), run_suite("second", 2, 2)
    (second / "speed_mix" / "gau4" / "results.json").unlink()
    said = assert_refused(join(first, second, "--out", tmp_path / "joined"))
    assert "gau4 is not a finished run" in said
    table = second / "speed_mix" / "table_config.json"
    for text, why in (("{}", "does not say which latents"), ("[1]", "does not say which latents")):
        table.write_text(text)
        assert why in assert_refused(join(first, second, "--out", tmp_path / "joined"))
    table.unlink()
    said = assert_refused(join(first, second, "--out", tmp_path / "joined"))
    assert f"{table} cannot be read" in said


def test_code_that_a_folder_names_is_not_run(run_suite, join, tmp_path):
    """Joined without what only its environment knows."""
    first = run_suite("first", 0, 2)
    (tmp_path / "ours.py").write_text("raise SystemError('it was run')")
    second, name = run_suite("second", 2, 2), str(tmp_path / "ours.py")
    for part in (first, second):
        marker = part / "suite_config.json"
        marker.write_text(json.dumps({"families": [name], "latents": []}))
        (part / "speed_mix").rename(part / slug(name))
    done = join(first, second, "--out", tmp_path / "joined")
    assert done.code == 0, done.err
    built = json.loads((tmp_path / "joined" / "suite.json").read_text())
    assert built[name]["rows"][0]["seeds"] == 4
