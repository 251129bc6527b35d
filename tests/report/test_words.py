"""Reports know no environment and no latent family: their sources are read for the words."""

import ast
import re
from pathlib import Path

import pytest

import structlat_jax
from structlat_jax.latents import FAMILIES

ROOT = Path(structlat_jax.__file__).parent / "report"
FILES = sorted(ROOT.rglob("*.py"))
WORDS = re.compile(r"goal|robot|anchor|half.?circle|radius", re.IGNORECASE)
SHIM = "families_shim.py"


OUTSIDE = [path for path in FILES if path.parent.name != "plane"]
CURRENT = [path for path in FILES if path.name != SHIM]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: p.name)
def test_only_the_plane_has_goals(path):
    text = path.read_text()
    found = [line for line in text.splitlines() if WORDS.search(line)]
    assert not found


def test_the_words_are_where_they_belong():
    assert any(WORDS.search(path.read_text()) for path in FILES if path.parent.name == "plane")
    assert len(FILES) > 30


@pytest.mark.parametrize("path", CURRENT, ids=lambda p: p.name)
def test_no_report_names_a_family(path):
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]
    assert not [text for text in texts if text in FAMILIES]
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "family" not in attributes
