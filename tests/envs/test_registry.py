"""Environments by name, by module, by file and by entry point, and what is never imported."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from tiny import config, line

from structlat_jax import envs
from structlat_jax.config import Config
from structlat_jax.envs import Env, EnvError, EnvSpec, registry
from structlat_jax.envs.spec import spec
from structlat_jax.train.setup import make_setup

SOURCE = """
from pathlib import Path
Path({marker!r}).write_text("imported")
import dataclasses
import tiny

@dataclasses.dataclass
class Options:
    horizon: int

def make(horizon=4, *, scale=1.0):
    return dataclasses.replace(tiny.line(), name="mine", horizon=Options(horizon).horizon)

def other():
    return dataclasses.replace(tiny.line(), name="other")

def nothing():
    return 3

def bad(**options):
    raise ValueError("only {{}} of\\nthem".format(sorted(options)))

def broken(horizon=4):
    return {{}}["x"]

constant = 7
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A file of environments in the working directory, and the marker that its import makes."""
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "marker"
    Path("mine_env.py").write_text(SOURCE.format(marker=str(marker)))
    yield marker
    for name in [name for name in sys.modules if name.endswith("mine_env")]:
        del sys.modules[name]


HOSTED = {"football", "ml1", "ml10", "ml45"}
"""Those that need packages of their own; see `host`."""


def refusal(make, *arguments, **options):
    with pytest.raises(EnvError) as caught:
        make(*arguments, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_built_in_environments_have_names():
    assert registry.names()[0] == "point_robot"
    for name in set(envs.BUILT_IN) - HOSTED:
        assert envs.make(name).spec.name == name


def test_options_are_given_to_the_factory():
    assert envs.make("point_robot", horizon=7).horizon == 7
    assert envs.make("point_robot", anchors=(0, 1)).name == "point_robot"


@pytest.mark.parametrize(
    "path", ["mine_env.py", "mine_env.py:make", "mine_env:make", Path("mine_env.py")], ids=str
)
def test_a_file_or_a_module_is_imported(written, path):
    before = list(sys.path)
    env = envs.make(path, horizon=6)
    assert (env.name, env.horizon) == ("mine", 6)
    assert written.exists()
    assert sys.path == before


def test_a_file_elsewhere(written, tmp_path, monkeypatch):
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    assert envs.make(f"{tmp_path}/mine_env.py:other").name == "other"
    assert envs.make("../../mine_env.py").name == "mine"


def test_a_file_that_was_changed_is_read_again(written):
    assert envs.make("mine_env.py").name == "mine"
    path = Path("mine_env.py")
    path.write_text(path.read_text().replace('name="mine"', 'name="ours"'))
    assert envs.make("mine_env.py").name == "ours"


BUILT_IN = ", ".join(envs.BUILT_IN)
ALLOWED = f"env must be one of {BUILT_IN}, package.module:factory, or path/to/file.py:factory, "
WRONG = {
    "pointrobot": f"{ALLOWED}not 'pointrobot' (did you mean point_robot?).",
    "": f"{ALLOWED}not ''.",
    "absent.py": "the environment absent.py:make cannot be made: there is no file absent.py.",
    "mine_env.py:absent": "the environment mine_env.py:absent cannot be made: mine_env.py has no "
    "absent().",
    "mine_env:constant": "the environment mine_env:constant cannot be made: mine_env has no "
    "constant().",
    "no_such_module:make": "the environment no_such_module:make cannot be imported: "
    "ModuleNotFoundError: No module named 'no_such_module'.",
    ":make": "the environment :make cannot be imported: Empty module name.",
    "mine_env.py:nothing": "mine_env.py:nothing must make an Env or a HostEnv, not int.",
    "mine_env.py:broken": "the environment mine_env.py:broken cannot be made: KeyError: 'x'.",
    "mine_env.py:bad": "the environment mine_env.py:bad cannot be made: only [] of them.",
    "wrong_env.py": "the environment wrong_env.py:make cannot be imported: SyntaxError: ",
    "fails_env.py": "the environment fails_env.py:make cannot be imported: RuntimeError: "
    "RuntimeError.",
    "exits_env.py": "the environment exits_env.py:make cannot be imported: ",
}


@pytest.mark.parametrize(("name", "words"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_made_is_said_in_a_sentence(written, name, words):
    Path("wrong_env.py").write_text("def make(:\n")
    Path("fails_env.py").write_text("raise RuntimeError\n")
    Path("exits_env.py").write_text("import sys\nsys.exit(3)\n")
    message = refusal(envs.make, name)
    assert message.startswith(words)
    assert words[-1] != "." or message == words


def test_options_that_a_factory_does_not_take(written):
    message = refusal(envs.make, "mine_env.py", size=3)
    expected = "the environment mine_env.py:make has no option 'size'; it takes horizon, scale."
    assert message == expected
    message = refusal(envs.make, "mine_env.py:other", size=3)
    assert message == "the environment mine_env.py:other has no option 'size'; it takes none."
    message = refusal(envs.make, "point_robot", radius=3)
    assert message.startswith(
        "the environment point_robot has no option 'radius'; it takes anchors,"
    )
    message = refusal(envs.make, "mine_env.py:bad", a=1, b=2)
    assert message.endswith("only ['a', 'b'] of them.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": 20.5}, "horizon must be a whole number of at least 1, not 20.5."),
        ({"horizon": "30"}, "horizon must be a whole number of at least 1, not '30'."),
        ({"horizon": None}, "horizon must be a whole number of at least 1, not None."),
        ({"goal_radius": (1, 2)}, "goal_radius must be above 0 and finite, not (1, 2)."),
        ({"step_size": True}, "step_size must be above 0 and finite, not True."),
        ({"anchors": 3}, "anchors must be two finite angles in radians, not 3."),
        ({"anchors": (0, 1, 2)}, "anchors must be two finite angles in radians, not (0, 1, 2)."),
        ({"anchors": (True, 2)}, "anchors must be two finite angles in radians, not (True, 2)."),
    ],
)
def test_values_that_an_environment_refuses(options, words):
    expected = f"the environment point_robot cannot be made: {words}"
    assert refusal(envs.make, "point_robot", **options) == expected


def entry_points(monkeypatch, **targets):
    """As if packages were installed that register these."""
    group = registry.GROUP
    made = [importlib.metadata.EntryPoint(name, to, group) for name, to in targets.items()]
    only = lambda **select: made if select == {"group": group} else []  # noqa: E731
    monkeypatch.setattr(importlib.metadata, "entry_points", only)


def test_packages_register_names(written, monkeypatch):
    monkeypatch.syspath_prepend(str(Path.cwd()))
    entry_points(
        monkeypatch, zeta="mine_env:make", alpha="mine_env:other", point_robot="mine_env:make"
    )
    assert registry.names() == [*envs.BUILT_IN, "alpha", "zeta"]
    assert not written.exists()  # a list of names imports nothing
    assert envs.make("zeta", horizon=5).horizon == 5
    assert envs.make("alpha").name == "other"
    assert envs.make("point_robot").name == "point_robot"  # nobody takes a name over
    assert "alpha, zeta" in refusal(envs.make, "beta")
    assert registry.make_safely(spec("zeta", {"horizon": 3})).horizon == 3


def test_a_package_that_fails(monkeypatch):
    entry_points(monkeypatch, lost="no_such_module:make", none="tiny:absent", number="tiny:HORIZON")
    message = refusal(envs.make, "lost")
    assert message.startswith("the environment lost cannot be loaded: ModuleNotFoundError: ")
    assert refusal(envs.make, "none").startswith("the environment none cannot be loaded: ")
    assert refusal(envs.make, "number").startswith("the environment number cannot be made: ")


CODE = ["mine_env.py:make", "mine_env.py", "mine_env:make", "./mine_env.py", "../{}/mine_env.py"]


@pytest.mark.parametrize("name", CODE)
def test_code_is_never_imported_unless_it_is_named(written, name):
    name = name.format(Path.cwd().name)
    strangers = Config().replace(env=spec(name))
    for make in (registry.make_safely, lambda one: registry.named(one, None)):
        message = refusal(make, strangers.env)
        assert message == (
            f"the environment {name} is code of its own, which is not run unasked: name it again "
            f"(--env {name}, or env={name!r} in Python) if you trust it."
        )
    refusal(make_setup, strangers)
    assert not written.exists()
    assert make_setup(config(), name).env.name == "mine"
    assert written.exists()


def test_reading_a_configuration_imports_nothing(written):
    data = Config().replace(env=spec("mine_env:make", {"horizon": 3})).to_dict()
    assert Config.from_dict(data).env.name == "mine_env:make"
    assert not written.exists()


def test_an_object_must_be_handed_over_again():
    seen = registry.of_object(line())
    assert (seen.name, seen.title, seen.widths) == ("", "line", (1, 1, 4))
    assert refusal(registry.make_safely, seen) == (
        "the environment line was handed over as an object: hand it over again (env=...)."
    )
    mine = line()
    assert registry.named(seen, mine) is mine


def test_a_name_is_given_the_options_of_the_configuration(written):
    wanted = spec("mine_env.py", {"horizon": 6})
    assert registry.named(wanted, "mine_env.py").horizon == 6
    assert registry.named(wanted, "mine_env.py", horizon=7).horizon == 7
    mine = line()
    assert registry.named(wanted, mine) is mine


def test_another_environment_than_that_of_training_is_refused(written):
    wanted = registry.described(
        spec("mine_env.py", {"horizon": 6}), envs.make("mine_env.py", horizon=6)
    )
    assert wanted == spec("mine_env.py", {"horizon": 6})
    assert (wanted.title, wanted.widths) == ("mine", (1, 1, 6))
    assert isinstance(registry.named(wanted, "mine_env.py"), Env)
    message = refusal(registry.named, wanted, "mine_env.py", horizon=7)
    assert message == (
        "the environment mine is not the one that was trained on, mine_env.py (horizon=6): horizon "
        "is 6 there and 7 here."
    )
    other = EnvSpec("point_robot", widths=(2, 2, 21))
    message = refusal(registry.named, other, line())
    assert message == (
        "the environment line is not the one that was trained on, point_robot: obs_dim is 2 there "
        "and 1 here; action_dim is 2 there and 1 here; horizon is 21 there and 4 here."
    )
    message = refusal(registry.make_safely, EnvSpec("point_robot", (("horizon", "x"),)))
    assert "horizon must be" in message
