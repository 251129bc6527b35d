"""A run folder that a stranger has made hostile: nothing runs, nothing outside is read or written,
memory stays bounded, and one sentence says what is wrong.

Its environment is in a file, whose code leaves a mark when it runs.
"""

import functools
import json
import os
import shutil
import tracemalloc
import zipfile

import numpy as np
import own_env
import pytest
from folders import listing
from own_env import times_run
from program import assert_refused

import structlat_jax as sl
from structlat_jax.cli import commands, finished_commands
from structlat_jax.report.names import slug
from structlat_jax.store import sealed

LITTLE = 64 * 2**20
TRAIN = ("--env", "own.py", "--seeds", 2, "--evals", 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    own_env.write(folder)
    return folder


@pytest.fixture
def place(shared, here, tmp_path, monkeypatch):
    """The working folder: a run, a file of precious things, and the file of the environment."""
    with monkeypatch.context() as patch:
        patch.chdir(shared)
        if not (shared / "run").exists():
            done = here(*TRAIN, "--out", "run")
            assert done.code == 0, done.err
    own_env.write(tmp_path)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "7").mkdir()
    (tmp_path / "precious" / "thesis.part").write_text("precious")
    shutil.copytree(shared / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(run, **values):
    """Changes ``config.json``: fields of its top, or of a section of it."""
    path = run / "config.json"
    data = json.loads(path.read_text())
    for name, value in values.items():
        own = data.get(name)
        data[name] = {**own, **value} if isinstance(own, dict) else value
    path.write_text(json.dumps(data))


def link(run, name, target="../precious"):
    """Puts a link in the place of a part of a run."""
    if (run / name).is_dir():
        shutil.rmtree(run / name)
    else:
        (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(target)


def resealed(run, change):
    """Changes the newest checkpoint, under a seal that fits it."""
    newest = max((run / "checkpoint").iterdir(), key=lambda path: int(path.name))
    about = sealed.read(newest)

    def fill(partial):
        shutil.copytree(newest, partial, dirs_exist_ok=True)
        change(partial)

    sealed.write(newest, about, fill)


def lie(partial):
    """Every array claims a terabyte."""
    with zipfile.ZipFile(partial / "arrays" / "params.npz") as archive:
        names = archive.namelist()
    with zipfile.ZipFile(partial / "arrays" / "params.npz", "w") as archive:
        for name in names:
            with archive.open(name, "w") as member:
                about = {"descr": "<f4", "fortran_order": False, "shape": (2, 2**37)}
                np.lib.format.write_array_header_1_0(member, about)


def sparse(path):
    """A terabyte of nothing."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**40)


HOSTILE = {
    "a config that names a module": lambda run: config(run, env={"name": "own:make"}),
    "a config that names a file": lambda run: config(run, env={"name": "../own.py:make"}),
    "a config that is a link": lambda run: link(run, "config.json", "../own.py"),
    "a config of a terabyte": lambda run: sparse(run / "config.json"),
    "hypotheses without end": lambda run: config(run, structure={"hypotheses": 2**40}),
    "checkpoints elsewhere": lambda run: link(run, "checkpoint"),
    "the best elsewhere": lambda run: link(run, "best"),
    "a lock elsewhere": lambda run: link(run, ".lock", "../precious/thesis.part"),
    "networks without end": lambda run: config(run, structure={"width": 10**9}),
    "arrays of a terabyte": lambda run: resealed(run, lie),
}
NAMES = ("a config that names a module", "a config that names a file")
LINKS = [name for name in HOSTILE if "link" in name or "elsewhere" in name]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "the best elsewhere"])
def test_an_agent_is_not_loaded(place, name):
    HOSTILE[name](place / "run")
    before = outside(place)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"\.$") as caught:
            sl.load("run", env=None if name in NAMES else "own.py")
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert outside(place) == before


def outside(place):
    """All that is not the run; the mark of whether code ran is looked at by itself."""
    paths = [path for path in place.iterdir() if path.name != "run" and path.suffix != ".ran"]
    return {str(p): {x: y for x, (_, y) in listing(p).items()} for p in paths}


def commands_on(in_process):
    return {
        "resume": functools.partial(in_process, commands.train, "--resume", "--out", "run"),
        "continue": functools.partial(
            in_process, commands.train, "--resume", "--updates", 40, "--out", "run"
        ),
        "from": functools.partial(
            in_process, commands.train, *TRAIN, "--from", "run", "--out", "new"
        ),
        "evaluate": functools.partial(in_process, finished_commands.evaluate, "run"),
        "figures": functools.partial(in_process, finished_commands.figures, "run"),
    }


@pytest.mark.parametrize("what", ["resume", "continue", "evaluate"])
@pytest.mark.parametrize("name", [*NAMES, *LINKS, "a config of a terabyte"])
def test_no_command_follows_it(place, in_process, what, name):
    if what == "resume":  # or there would be nothing to do
        (place / "run" / "results.json").unlink()
    HOSTILE[name](place / "run")
    before, ran = outside(place), times_run(place)
    line = assert_refused(commands_on(in_process)[what]())
    assert len(line) < 600
    assert outside(place) == before
    assert times_run(place) == ran


@pytest.mark.parametrize("name", LINKS)
def test_nobody_starts_from_it(place, in_process, name):
    HOSTILE[name](place / "run")
    before = outside(place)
    assert_refused(commands_on(in_process)["from"]())
    assert outside(place) == before


@pytest.mark.parametrize("name", ["results.json", "metrics.csv"])
def test_files_without_end_are_not_read(place, in_process, name):
    sparse(place / "run" / name)
    line = assert_refused(commands_on(in_process)["figures"]())
    assert f"run/{name} has 1,099,511,627,776 bytes" in line


def test_links_among_what_is_replaced_are_not_followed(place, here):
    """What an interrupted write left may be a link to something precious."""
    for name in ("config.json.part", "metrics.csv.part", "adaptation.npz.part"):
        (place / "run" / name).symlink_to("../precious/thesis.part")
    (place / "run" / "surplus.part").symlink_to("../precious")
    before = outside(place)
    done = here("--resume", "--updates", 25, "--out", "run", "--env", "own.py")
    assert done.code == 0, done.err
    assert outside(place) == before


@pytest.mark.parametrize("text", [".", "..", "...", "/", "../..", "a/../b"])
def test_no_name_climbs(text):
    assert "/" not in slug(text)
    assert set(slug(text)) != {"."}
