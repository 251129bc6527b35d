"""Puts small faults into a copy of the library, one at a time, and lists those that go unnoticed.

python tests/mutation/check.py --every 1

Each fault takes as long as the tests that are to notice it, up to their first failure.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 1800.0  # seconds; a fault that makes the tests hang is noticed too
_NONE_OF_THAT_KIND = 5  # what pytest ends with where there are no tests to run


@click.command(help=__doc__)
@click.option("--first", type=click.IntRange(0), default=0, help="The first fault, from 0.")
@click.option("--every", type=click.IntRange(1), default=1, help="Each so many-th fault only.")
def command(first: int, every: int) -> None:
    """See the module's docstring."""
    chosen = FAULTS[first::every]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "runs", "docs"))
        for number, (file, old, new, tests) in enumerate(chosen, 1):
            start = time.perf_counter()
            noticed = is_noticed(tree, file, old, new, tests)
            if not noticed:
                survivors.append((file, old, new))
            word = "noticed" if noticed else "SURVIVED"
            seconds = time.perf_counter() - start
            print(
                f"{number:>3}/{len(chosen)} {word:<8} {seconds:4.0f} s  {file}: {old!r}", flush=True
            )
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults were noticed")
    for file, old, new in survivors:
        print(f"  {file}: {old!r} -> {new!r}")
    sys.exit(bool(survivors))


def is_noticed(tree: Path, file: str, old: str, new: str, tests: tuple[str, ...]) -> bool:
    """Whether one of the tests fails when ``file`` of the copy has ``new`` instead of ``old``."""
    path = tree / "structlat_jax" / file
    sound = path.read_text()
    assert sound.count(old) == 1, (file, old)
    path.write_text(sound.replace(old, new))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    env = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tree.parent / "xla"),  # most programs have no fault
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    try:
        for kind in ("not slow", "slow and not idle"):  # those of every day, then those of CI alone
            asked = [*command, "-m", kind, *tests]
            done = subprocess.run(asked, cwd=tree, env=env, capture_output=True, timeout=PATIENCE)
            if done.returncode not in (0, _NONE_OF_THAT_KIND):
                return True
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(sound)


if __name__ == "__main__":
    command()
