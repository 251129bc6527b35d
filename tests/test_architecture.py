"""Dependencies point downwards only, and importing the library does next to nothing."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import structlat_jax

ROOT = Path(structlat_jax.__file__).resolve().parents[1]
LIBRARY = "structlat_jax"
PROGRAMS = "experiments"

LAYERS = (
    {"types", "options"},
    {"latents"},
    {"config", "networks", "inference", "optim"},
    {"replay", "envs", "rollout", "sac", "world_model", "hypotheses"},
    {"setup", "schedules", "train_state"},
    {"contexts"},
    {"batches"},
    {"collect"},
    {"meta_train", "evaluate"},
    {
        *("sweep", "run_folder", "sealed", "legacy_arrays", "array_files", "agent_file"),
        *("checkpoint", "agent"),
    },
    {"report"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HOST_ONLY = {"matplotlib", "click", "rich", "scipy", "pandas"}

FILES = [path for folder in (LIBRARY, PROGRAMS) for path in sorted((ROOT / folder).rglob("*.py"))]
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
INSIDE = [path for path in FILES if path.relative_to(ROOT).parts[0] == LIBRARY]


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
    """Rank of a library module; the package itself stands above all but the report."""
    parts = module.split(".")
    return RANK[parts[1]] if len(parts) > 1 else RANK["agent"]


def test_every_module_has_a_layer():
    tops = {module.split(".")[1] for module in MODULES if module.startswith(LIBRARY + ".")}
    assert tops == set(RANK)


@pytest.mark.parametrize("path", INSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    targets = {name for name in all_imports(path) & MODULES if name != LIBRARY}
    assert all(layer_of(name) <= layer_of(module_of(path)) for name in targets), targets


def test_no_import_cycles():
    graph = {}
    for path in FILES:
        if path.name != "__init__.py":
            graph[module_of(path)] = {
                name for name in all_imports(path, top_level_only=True) & MODULES if "." in name
            } - {LIBRARY}
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", INSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_library_stays_clear_of_the_host(path):
    found = roots(path)
    assert PROGRAMS not in found
    assert "benchmarks" not in found
    if "report" not in path.parts:
        assert not found & HOST_ONLY
    if path.name != "legacy_arrays.py":
        assert "orbax" not in found


def test_agent_imports_checkpoints_lazily():
    names = all_imports(ROOT / LIBRARY / "agent.py", top_level_only=True)
    assert not {name for name in names if name.startswith(f"{LIBRARY}.checkpoint")}
    assert f"{LIBRARY}.checkpoint" in all_imports(ROOT / LIBRARY / "agent.py")


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


IMPORT_ONLY = """
import sys
import structlat_jax
heavy = {"matplotlib", "orbax", "click", "experiments", "structlat_jax.report"} & set(sys.modules)
import jax
jax.config.update("jax_num_cpu_devices", 1)  # refused once a backend has started
print(sorted(heavy))
"""


def test_import_has_no_side_effects():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ONLY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
