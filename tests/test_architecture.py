"""Dependencies point downwards only, and importing the library does next to nothing."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import structlat_jax

ROOT = Path(structlat_jax.__file__).resolve().parents[1]
LIBRARY = "structlat_jax"
PROGRAMS = "experiments"

LAYERS = (
    {"shapes", "options", "errors"},
    {"paths", "settings"},
    {
        "algos.options",
        "algos.presets",
        "data.options",
        "inference.options",
        "nets.options",
        "train.options",
    },
    {"latents", "envs", "nets"},
    {"config"},
    {
        "data.replay",
        "data.contexts",
        "inference.base",
        "inference.imagined",
        "inference.sparse",
        "inference.hypotheses",
    },
    {
        "parts",
        "inference.additive",
        "inference.world_model",
        "inference.decoder",
        "inference.chosen",
    },
    {"inference.belief", "inference.blank"},
    {"inference.adapted", "inference.informed", "inference.recurrent"},
    {"data.batches"},
    {"algos"},
    {"inference.bayes"},
    {"train.explore", "train.over_seeds", "train.rollout", "train.setup", "train.state"},
    {"train.posterior_contexts"},
    {"train.trials"},
    {"train.collect", "train.players"},
    {"train.learn", "train.evaluate"},
    {"train.choose", "train.hosted"},
    {"train.hosted_evaluate"},
    {"train.hosted_programs"},
    {"train.parallel"},
    {"train.repeats"},
    {"store.run_folder"},
    {"store.sealed", "store.legacy_arrays", "store.npz"},
    {"store.array_files", "store.steps"},
    {"store.agent_file", "store.checkpoint"},
    {"agent_steps"},
    {"agent", "exported_agent", "saved_agent"},
    {"examples"},
    {"report"},
    {"run"},
    {"cli"},
)
"""From the lowest up: modules, and packages for all of their modules that are not named."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HOST_ONLY = {"matplotlib", "click", "rich", "scipy", "pandas"}
HOST_PARTS = {"report", "cli"}
FILES = [path for folder in (LIBRARY, PROGRAMS) for path in sorted((ROOT / folder).rglob("*.py"))]
INSIDE = [path for path in FILES if path.relative_to(ROOT).parts[0] == LIBRARY]
each_file = pytest.mark.parametrize("path", INSIDE, ids=lambda p: str(p.relative_to(ROOT)))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def imports_of(tree, package):
    """Absolute names of everything that a syntax tree imports, at any depth of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            base = prefix + (node.module or "")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def all_imports(path, top_level_only=False):
    tree = ast.parse(path.read_text())
    if top_level_only:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        tree.body = [node for node in tree.body if not isinstance(node, functions)]
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return set(imports_of(tree, package))


def roots(path, **options):
    return {name.partition(".")[0] for name in all_imports(path, **options)}


def layer_of(module):
    """Rank of a library module: its own, or that of the nearest package that has one. A package of
    modules with ranks of their own has that of the lowest, and the library that of all of it."""
    name = module.removeprefix(LIBRARY).removeprefix(".")
    if not name:
        return len(LAYERS) - 1
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if (known := ".".join(parts[:end])) in RANK:
            return RANK[known]
    return min((rank for known, rank in RANK.items() if known.startswith(f"{name}.")), default=None)


def test_every_module_has_a_layer_and_every_layer_its_modules():
    inside = {module for module in MODULES if module.startswith(LIBRARY + ".")}
    assert not {module for module in inside if layer_of(module) is None}
    assert not {
        name for name in RANK if not any(f"{m}.".startswith(f"{LIBRARY}.{name}.") for m in inside)
    }
    assert sum(map(len, LAYERS)) == len(RANK)


@each_file
def test_imports_point_downwards(path):
    """To a lower layer, or within the own one and package."""
    module = module_of(path)
    for name in (all_imports(path) & MODULES) - {LIBRARY}:
        below = layer_of(name) < layer_of(module)
        beside = layer_of(name) == layer_of(module) and top(name) == top(module)
        assert below or beside or module.startswith(f"{name}."), name


def top(module):
    """The package right below the library, or the library for its own modules."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / LIBRARY / parts[1]).is_dir() else LIBRARY


def test_no_import_cycles():
    graph = {}
    for path in FILES:
        if path.name != "__init__.py":
            graph[module_of(path)] = {
                name for name in all_imports(path, top_level_only=True) & MODULES if "." in name
            } - {LIBRARY}
    list(graphlib.TopologicalSorter(graph).static_order())


@each_file
def test_library_stays_clear_of_the_host(path):
    found = roots(path)
    assert PROGRAMS not in found
    assert "benchmarks" not in found
    if not HOST_PARTS & set(path.parts):
        # What shows a run on a terminal loads its library when it is made.
        lazily = {"rich"} if path.name == "console.py" else set()
        assert not found & HOST_ONLY - lazily
        assert not roots(path, top_level_only=True) & HOST_ONLY
    if path.name != "legacy_arrays.py":
        assert "orbax" not in found


def test_agent_imports_checkpoints_lazily():
    names = all_imports(ROOT / LIBRARY / "agent.py", top_level_only=True)
    assert not {name for name in names if name.startswith(f"{LIBRARY}.store.checkpoint")}
    assert f"{LIBRARY}.store.checkpoint" in all_imports(ROOT / LIBRARY / "agent.py")


TASKS = re.compile("goal|robot|anchor|radius|half[ -_]?circle", re.IGNORECASE)
KNOW_TASKS = ("envs", "report")


@each_file
def test_only_environments_know_what_a_task_is(path):
    """Neither in code nor in words."""
    if path.relative_to(ROOT / LIBRARY).parts[0] not in KNOW_TASKS:
        lines = enumerate(path.read_text().splitlines(), 1)
        assert not [f"{number}: {line}" for number, line in lines if TASKS.search(line)]


def test_files_are_short():
    folders = (LIBRARY, PROGRAMS, "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = {str(p): n for p in files if (n := len(p.read_text().splitlines())) > 300}
    assert not long
    assert len(files) > 30


@pytest.mark.parametrize("name", structlat_jax.__all__)
def test_public_name_exists_and_is_documented(name):
    thing = getattr(structlat_jax, name)
    assert thing.__doc__
    assert name in dir(structlat_jax)


def test_public_names_are_those_that_type_checkers_see():
    """What is loaded when it is used is the same as what the imports for type checkers say."""
    tree = ast.parse((ROOT / LIBRARY / "__init__.py").read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    found = {}
    for node in checked.body:
        found |= {alias.name: node.module for alias in node.names}
    assert sorted(found) == sorted(structlat_jax.__all__)
    modules = {name: home.rpartition(".")[0] for name, home in structlat_jax._MODULES.items()}
    homes = {**structlat_jax._HOME, **modules}
    assert {name: homes[name] for name in found} == found


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'structlat_jax' has no attribute 'nothing'"):
        structlat_jax.nothing  # noqa: B018


def test_what_is_not_public_in_jax_is_used_in_one_file():
    folders = (LIBRARY, PROGRAMS, "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    users = [str(path.relative_to(ROOT)) for path in files if "jax._src" in path.read_text()]
    assert users == ["structlat_jax/run/hosts.py"]


IMPORT_ONLY = """
import sys
import structlat_jax
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & set(sys.argv[1:])))
print(sorted(name for name in sys.modules if name.startswith("structlat_jax.")))
structlat_jax.Config, structlat_jax.make_setup, structlat_jax.load, structlat_jax.meta_step
import jax
jax.config.update("jax_num_cpu_devices", 1)  # refused once a backend has started
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"matplotlib", "orbax", "click", "pandas", "experiments"}))
"""


def test_import_has_no_side_effects():
    """It loads nothing at all; its names load what acting and training need, and start nothing."""
    heavy = ["numpy", "jax", "flax", "optax", "distrax", "orbax", *HOST_ONLY]
    command = [sys.executable, "-c", IMPORT_ONLY, *heavy]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "[]", "[]"]


def test_no_module_hides_one_of_pythons():
    """A program that is run as a script has its own folder first on the path, and an editor's
    button runs any file so."""
    tops = [ROOT / name for name in (LIBRARY, PROGRAMS, "benchmarks", "tests")]
    folders = {path.parent for top in tops for path in top.rglob("*.py")}
    assert {ROOT / LIBRARY, ROOT / LIBRARY / "report", ROOT / "tests" / "run"} < folders
    for folder in {ROOT, *folders}:
        names = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        assert not names & sys.stdlib_module_names, folder
