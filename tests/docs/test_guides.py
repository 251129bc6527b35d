"""The guides do what they print: every file, command and piece of Python in them, in order.

While one runs, the defaults of sizes are tiny and budgets are cut; nothing else is changed.
"""

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from program import ROOT, assert_refused
from tiny import SIZES, quick_compile

import structlat_jax as sl
from structlat_jax.cli import group, main, request
from structlat_jax.config import Structure
from structlat_jax.envs.host import pools
from structlat_jax.latents import FAMILIES
from structlat_jax.report import album, effect
from structlat_jax.run import api, plan

GUIDES = ROOT / "docs" / "guides"
BLOCK = re.compile(r"<!-- (file|run): (\S+) -->\s*```(\w+)\n(.*?)```", re.DOTALL)
UPDATES, EVALS = 10, 2
PRESET = "dir:2x4,gau:2"


class Block(NamedTuple):
    """A piece of a guide: a file of a name, or something to be run, in a language."""

    kind: str
    name: str
    language: str
    text: str


def blocks(guide: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall((GUIDES / f"{guide}.md").read_text())]


@pytest.fixture
def small(monkeypatch, kept_programs):
    """Tiny defaults, short budgets, quick pictures."""
    defaults = dict(zip(fields_of(Structure), Structure.__init__.__defaults__, strict=True))
    choices = ("latent", "posterior", "inference")  # what guides talk of
    sizes = {name: value for name, value in SIZES.items() if name not in choices}
    tiny = tuple({**defaults, **sizes}.values())
    monkeypatch.setattr(Structure.__init__, "__defaults__", tiny)

    def cut(config, preset, seeds, seed, updates, evals, checkpoint_seconds):
        short = (min(updates, UPDATES), min(evals, EVALS), checkpoint_seconds)
        return plan.Plan(config, preset, seeds, seed, *short)

    for module in (api, request):
        monkeypatch.setattr(module, "Plan", cut)
    monkeypatch.setattr(effect, "DRAWS", 64)
    monkeypatch.setattr(album, "FORMATS", ("png",))


def fields_of(record):
    return [field.name for field in dataclasses.fields(record)]


@pytest.fixture
def read(tmp_path, monkeypatch, in_process, small):
    """Goes through a guide in an empty folder, which it returns."""
    monkeypatch.chdir(tmp_path)

    def command(words):
        assert words[0] == "structlat"
        # A sweep of one seed has as many lanes as the run before it, and so the same program.
        more = ["--seeds", "1"] if words[1] == "sweep" else []
        done = in_process(group.make(main._COMMANDS), *words[1:], *more)
        assert done.code == 0, (words, done.err)

    def go(guide):
        for block in blocks(guide):
            if block.kind == "file":
                Path(block.name).write_text(block.text)
            elif block.language == "python":
                with quick_compile():
                    exec(compile(block.text, f"{guide}.md: {block.name}", "exec"), {})
            else:
                for line in block.text.replace("\\\n", " ").strip().splitlines():
                    command(shlex.split(line, comments=True))
        return tmp_path

    return go


def results_of(run):
    return json.loads((run / "results.json").read_text())


def test_every_guide_is_read():
    known = {"environment", "export", "host", "inference", "latent", "logger"}
    elsewhere = {"bodies", "football"}  # in tests of their own, where what they need is installed
    assert {path.stem for path in GUIDES.glob("*.md")} == known | elsewhere
    for guide in known:
        text = (GUIDES / f"{guide}.md").read_text()
        assert len(blocks(guide)) == len(re.findall("<!-- (?:file|run): ", text)) > 0
        assert {one.language for one in blocks(guide)} <= {"python", "bash"}


@pytest.mark.slow
def test_your_own_environment(read, in_process):
    place = read("environment")
    found = results_of(place / "runs" / "cart")
    assert (found["env"], found["latent"], found["seeds"]) == ("cart", "dir:1x3,gau:1", 2)
    assert found["inference"] == "decoded"
    assert found["test_return"]["mean"] < 0
    assert "oracle_return" not in found
    pictures = {path.name for path in (place / "runs" / "cart").glob("*.png")}
    assert pictures == {"learning_curve.png", "adaptation_curve.png", "belief.png"}
    with np.load(place / "runs" / "cart" / "adaptation.npz") as arrays:
        assert {"factor_mixture_test", "factor_friction_test"} <= arrays.keys()
    assert (place / "runs" / "cart-sweep" / "sweep.csv").is_file()
    assert (place / "figures" / "learning_curves.png").is_file()
    assert (place / "cart.safetensors").is_file()
    # What it says of a mistake in the file.
    text = (place / "cart.py").read_text()
    wrong = text.replace("Step(speed, speed, reward,", "Step(speed, speed, reward[None],")
    (place / "cart.py").write_text(wrong)
    said = "reward of step of cart.py:make must be a scalar, not [1]"
    line = assert_refused(in_process(group.make(main._COMMANDS), "train", "--env", "cart.py"))
    assert said in line
    assert said in " ".join((GUIDES / "environment.md").read_text().split())


@pytest.mark.slow
def test_your_gymnasium_environment(read, in_process):
    place = read("host")
    pools.close()
    found = results_of(place / "runs" / "puck")
    assert (found["env"], found["inference"], found["latent"]) == ("puck", "amortised", PRESET)
    assert found["test_return"]["mean"] < 0
    assert "tasks_reached" in " ".join(found)
    assert (place / "figures" / "learning_curves.png").is_file()
    # What it says of a mistake in the file.
    text = (place / "puck.py").read_text()
    (place / "puck.py").write_text(text.replace("return self.place, -gap,", "return self.place,"))
    given = ["train", "--env", "puck.py", "--workers", "1"]
    line = assert_refused(in_process(group.make(main._COMMANDS), *given))
    assert "step of puck must return (obs, reward, terminated, truncated, info), not 4" in line
    line = assert_refused(in_process(group.make(main._COMMANDS), *given[:-1], "0"))
    assert "must be a whole number of at least 1 or ray, not '0'" in line


@pytest.mark.slow
def test_taking_an_agent_along(read):
    pytest.importorskip("flatbuffers")
    assert (read("export") / "agent.zip").stat().st_size > 10_000


@pytest.mark.slow
def test_your_own_inference(read, capfd):
    read("inference")
    shown = [line for line in capfd.readouterr().out.splitlines() if line.startswith("[")]
    assert len(shown) == 2
    assert all(len(line.strip("[]").split()) == SIZES["eval_episodes"] for line in shown)


@pytest.mark.slow
def test_your_own_latent(read):
    before = dict(FAMILIES)
    try:
        place = read("latent")
    finally:
        FAMILIES.clear()
        FAMILIES.update(before)
    assert results_of(place / "runs" / "vmf")["latent"] == "vmf:1,gau:1"
    assert sl.load(place / "runs" / "vmf").space.dim == 4


@pytest.mark.slow
def test_your_own_logger(read):
    place = read("logger")
    events = {path.name for path in (place / "runs" / "logged" / "tensorboard").iterdir()}
    assert events == {"seed0", "seed1"}
