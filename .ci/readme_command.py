"""Prints the README's command block that carries a mark: ``<!-- command: NAME -->`` before it."""

import pathlib
import re
import sys

name = sys.argv[1]
readme = pathlib.Path(__file__).parent.parent / "README.md"
pattern = rf"<!-- command: {name} -->\s*```(?:bash|sh)\n(.*?)```"
found = re.search(pattern, readme.read_text(), re.DOTALL)
if not found:
    sys.exit(f"README.md has no command block marked {name!r}")
print(found[1].strip())
