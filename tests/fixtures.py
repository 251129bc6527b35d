"""Fixtures of several folders: two ways to run a program, in this process and in its own."""

import functools
import json
import os
import sys
from pathlib import Path

import filelock
import pytest
from program import TINY, Done, start
from tiny import quick_compile

import structlat_jax as sl
from structlat_jax.cli import commands, errors
from structlat_jax.envs import EnvSpec
from structlat_jax.report import figures_style
from structlat_jax.run import machine
from structlat_jax.train import parallel
from structlat_jax.train.setup import Setup, make_setup

__all__ = ["finished", "here", "in_process", "kept_programs", "live"]

_compiled = {}
"""Programs by what they were made for: all runs of this process compile them once."""


@pytest.fixture
def kept_programs(monkeypatch):
    """Runs of one shape in this process share their compiled programs: tracing, too, takes
    seconds. Hyper-parameters and seeds are arguments of a program, so that they may differ."""
    make, compile_programs = parallel.make_programs, parallel.compile_programs

    def make_kept(setup, seeds, devices=None, mapping=None):
        if devices is not None or mapping is not None:
            return make(setup, seeds, devices, mapping)
        key = (_shape(setup), seeds)
        if key not in _compiled:
            _compiled[key] = make(setup, seeds)
        return _compiled[key]

    def compile_kept(programs, hyper):
        key = id(programs.step)
        if key not in _compiled:
            _compiled[key] = compile_programs(programs, hyper)
        return _compiled[key]

    monkeypatch.setattr(parallel, "make_programs", make_kept)
    monkeypatch.setattr(parallel, "compile_programs", compile_kept)


def _shape(setup: Setup):
    """What a program depends on, equal for environments that were made of the same source."""
    spec = setup.env.spec
    if spec is None or make_setup(setup.config, setup.env) is not setup:
        return setup
    place = spec.name.rpartition(":")[0]
    module = sys.modules.get(place)
    file = Path(place if module is None else module.__file__)
    if not spec.is_code or not file.is_file():
        return setup.config, spec
    return setup.config.replace(env=EnvSpec()), spec.options, file.read_text()


@pytest.fixture
def in_process(monkeypatch, capfd, kept_programs):
    """Runs a program in this process, whose devices are settled already."""
    monkeypatch.setattr(machine, "configure", lambda seeds: None)
    monkeypatch.setattr(errors, "leave_at_once", sys.exit)
    monkeypatch.setattr(figures_style, "DPI", 30)

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
        capfd.readouterr()
        with quick_compile(), pytest.raises(SystemExit) as ended:
            errors.main(command)
        return Done(ended.value.code or 0, *capfd.readouterr())

    return run


@pytest.fixture
def here(in_process):
    """Runs ``structlat train`` in this process."""
    return functools.partial(in_process, commands.train)


@pytest.fixture
def live():
    """Makes a logger of a live page, for seeds 3 and 4, and tells its port."""
    made = []

    def make(**options):
        said = []
        made.append(sl.loggers.live((3, 4), tell=said.append, **options))
        (sentence,) = said
        assert sentence.startswith("live at http://127.0.0.1:")
        return made[-1], int(sentence.rstrip("/").rpartition(":")[2])

    yield make
    for logger in made:
        logger.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """An uninterrupted run in its own process, not to be changed: its folder, and how it ended."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "finished"
    with filelock.FileLock(shared / "finished.lock"):
        if not folder.exists():
            folder.mkdir()
            done = start(*TINY, "--log", "tensorboard", "--out", folder / "run", cwd=folder)
            (folder / "done.json").write_text(json.dumps(done))
    return folder / "run", Done(*json.loads((folder / "done.json").read_text()))
