"""The wheel: what is in it, and what it does with the base dependencies alone."""

import email
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from pathlib import Path

import pytest
from folders import rows_of
from packaging.requirements import Requirement
from program import ROOT, TINY
from tiny import SIZES

import structlat_jax

pytestmark = pytest.mark.slow

SITE = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of what the tree holds."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("structlat_jax", "experiments", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", ".", "-w", "dist"]
    subprocess.run(command, cwd=tree, check=True)
    (path,) = (tree / "dist").iterdir()
    return path


def needed(names):
    """The distributions that others need, themselves included."""
    found, left = set(), list(names)
    while left:
        name = left.pop().lower()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                left.append(one.name)
    return found


def requirements(wheel, extra=None):
    """What the wheel says that it needs, itself or for an extra."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        said = email.message_from_bytes(archive.read(name))
    for text in said.get_all("Requires-Dist"):
        one = Requirement(text)
        wanted = one.marker.evaluate({"extra": extra or ""}) if one.marker else extra is None
        if wanted and one.name != "structlat-jax":
            yield one.name


def link(place, names):
    """Puts installed distributions into another environment without fetching them again."""
    for name in needed(names):
        for file in importlib.metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__", "bin") and not (place / top).exists():
                (place / top).symlink_to(SITE / top)


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """An environment with the wheel and its base dependencies."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps"]
    subprocess.run([*install, str(wheel)], check=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    link(Path(place.strip()), requirements(wheel))
    return folder / "env" / "bin", Path(place.strip())


def run(command, cwd):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_what_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        (entries,) = [name for name in names if name.endswith("entry_points.txt")]
        said, scripts = archive.read(metadata).decode(), archive.read(entries).decode()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"structlat_jax", f"structlat_jax-{structlat_jax.__version__}.dist-info"}
    assert "structlat_jax/py.typed" in names
    source = {str(p.relative_to(ROOT)) for p in (ROOT / "structlat_jax").rglob("*.py")}
    assert source <= set(names)
    assert "structlat = structlat_jax.cli.main:main" in scripts
    for line in ("Project-URL: Homepage", "Classifier: Typing :: Typed", "Requires-Python: >=3.11"):
        assert line in said


SIX_LINES = """
import jax, structlat_jax as sl
run = sl.train(sl.Config().replace(**SIZES), "point_robot", seeds=2, updates=10, evals=1, out="run")
tasks = run.setup.env.sample_tasks(jax.random.key(1), 2)
found = sl.evaluate(run.agent(0), tasks, jax.random.key(2))
agent = sl.load(run.agent(0).save("agent.safetensors"))
action = agent.act(jax.numpy.zeros(2), agent.sample_z(agent.prior(), jax.random.key(3)))
"""


def test_the_base_dependencies_train_save_and_load(fresh, tmp_path):
    binaries, _ = fresh
    more = """
        import sys
        assert action.shape == (2,) and found.returns.shape == (2, 2, 4)
        assert sl.load("run", seed=1).act(jax.numpy.zeros(2), jax.numpy.zeros(4)).shape == (2,)
        assert not {"click", "matplotlib"} & set(sys.modules)
        assert sl.__file__.startswith(sys.prefix)
        for absent in ("click", "matplotlib", "experiments", "tests", "beartype", "tensorboardX"):
            try:
                __import__(absent)
            except ImportError:
                continue
            raise AssertionError(absent)
    """
    code = f"SIZES = {SIZES!r}\n{SIX_LINES}{textwrap.dedent(more)}"
    done = run([binaries / "python", "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.json").is_file()
    assert not list((tmp_path / "run").glob("*.png"))
    assert done.stdout == done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"run", "agent.safetensors"}


def test_the_command_names_what_it_needs(fresh, tmp_path):
    done = run([fresh[0] / "structlat", "train"], tmp_path)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "pip install 'structlat-jax[cli]'" in line


def test_the_command_trains_from_an_empty_folder(wheel, fresh, tmp_path):
    binaries, place = fresh
    link(place, requirements(wheel, "cli"))
    words = ["train", "--env", "point_robot", *TINY, "--out", "run"]
    done = run([binaries / "structlat", *words], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "everything is in run" in done.stdout
    assert len(rows_of(tmp_path / "run")) == 8
    assert len(list((tmp_path / "run").glob("*.png"))) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
