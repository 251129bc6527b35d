"""The site of the docs: every public name has an entry, every page its place, and it builds."""

import importlib
import re
import subprocess
import sys

import pytest
from program import ROOT

import structlat_jax as sl

DOCS = ROOT / "docs"
ENTRY = re.compile(r"^::: (\S+)$", re.MULTILINE)
ENTRIES = [
    name for page in sorted((DOCS / "api").glob("*.md")) for name in ENTRY.findall(page.read_text())
]


def found(entry):
    """What an entry names: a module, or a member of one."""
    try:
        return importlib.import_module(entry)
    except ModuleNotFoundError:
        module, _, name = entry.rpartition(".")
        return getattr(importlib.import_module(module), name)


def test_every_public_name_has_an_entry():
    things = [found(entry) for entry in ENTRIES]
    missing = [
        name
        for name in sl.__all__
        if name != "envs" and not any(getattr(sl, name) is thing for thing in things)
    ]
    assert missing == []
    assert sl.envs.make in things
    assert len(set(ENTRIES)) == len(ENTRIES)


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert listed == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


@pytest.mark.slow
def test_it_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    for needed in ("mkdocs", "mkdocstrings", "material", "latex2mathml"):
        pytest.importorskip(needed)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    concepts = (tmp_path / "concepts" / "index.html").read_text()
    assert concepts.count("<math") > 20
    assert "arithmatex" not in concepts  # every formula was drawn
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        assert not re.findall(r'<(?:script|img)[^>]*src="(?:https?:)?//[^"]*', text), page
    agents = (tmp_path / "api" / "agents" / "index.html").read_text()
    assert "sample_z" in agents
