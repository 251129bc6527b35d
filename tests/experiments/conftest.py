"""Two ways to run the program: in this process and in its own."""

import functools
import sys

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from program import TINY, Done, start
from tiny import quick_compile

from experiments import cli, platform, point_robot, table1


@pytest.fixture(scope="session")
def xla_cache(tmp_path_factory):
    """One compilation cache for all runs, which is not the user's."""
    return str(tmp_path_factory.mktemp("xla"))


@pytest.fixture(scope="module")
def compiled_once(xla_cache):
    """The runs of a test file use the compilation cache of all."""
    folder = xla_cache
    changes = {"compilation_cache_dir": folder, "persistent_cache_min_compile_time_secs": 0.2}
    before = {name: getattr(jax.config, f"jax_{name}") for name in changes}
    for name, value in changes.items():
        jax.config.update(f"jax_{name}", value)
    compilation_cache.reset_cache()
    yield folder
    for name, value in before.items():
        jax.config.update(f"jax_{name}", value)
    compilation_cache.reset_cache()


@pytest.fixture
def in_process(monkeypatch, capfd):
    """Runs a program in this process, whose devices are settled already."""
    monkeypatch.setattr(platform, "configure", lambda seeds: None)
    monkeypatch.setattr(cli, "leave_at_once", sys.exit)

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
        capfd.readouterr()
        with quick_compile(), pytest.raises(SystemExit) as ended:
            cli.main(command)
        return Done(ended.value.code or 0, *capfd.readouterr())

    return run


@pytest.fixture
def here(in_process):
    """Runs the main program in this process."""
    return functools.partial(in_process, point_robot.command)


@pytest.fixture
def table_here(in_process):
    """Runs the table of latent spaces in this process."""
    return functools.partial(in_process, table1.command)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, xla_cache):
    """An uninterrupted run in its own process: its folder, and how it ended."""
    cwd = tmp_path_factory.mktemp("cwd")
    return cwd / "run", start(*TINY, "--out", cwd / "run", cwd=cwd, cache=xla_cache)
