"""A run that is killed again and again, and what must be true of its folder each time."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from program import SEEDS, TINY, launch

from structlat_jax.store import checkpoint, sealed

PATIENCE = 300.0  # seconds for what takes a few; a loaded machine must not make it fail


def begin(out: Path, updates: int, more: Sequence[str] = ()) -> subprocess.Popen:
    """Starts the run, which saves a checkpoint after every meta-step; or resumes it, if it has got
    as far as its ``config.json``. ``more`` are options that both take."""
    begun = (out / checkpoint.CONFIG_FILE).exists()
    options = ["--resume"] if begun else [*TINY, f"--updates={updates}", "--checkpoint-seconds=0"]
    command = [*options, "--out", out, *more]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / "log").open("a") as log:
        return launch("experiments.point_robot", *command, cwd=out.parent, log=log)


def finish(out: Path, updates: int, more: Sequence[str] = ()) -> None:
    """Runs to the end; fails if that does not end well."""
    process = begin(out, updates, more)
    assert process.wait(PATIENCE) == 0, (out.parent / "log").read_text()[-2000:]


def kill(
    out: Path, updates: int, moment: str, rng: random.Random, more: Sequence[str] = ()
) -> bool:
    """Starts or resumes, and kills at the moment; False if the run was finished before.

    Args:
      out: The run folder.
      updates: Of the whole run.
      moment: ``any``: uniform in the first ten seconds; ``step``: within half a second from the
        next meta-step on; ``write``: while a checkpoint is being written.
      rng: For the exact time.
      more: As for `begin`.
    """
    latest = latest_of(out)
    process = begin(out, updates, more)
    if moment == "any":
        due, seen = rng.uniform(0, 10), lambda: True
    elif moment == "step":
        due, seen = rng.uniform(0, 0.5), lambda: (latest_of(out) or 0) > (latest or 0)
    else:
        due, seen = rng.choice([0, 0.01, 0.03]), lambda: any(writing(out))
    until = time.monotonic() + PATIENCE
    while not seen() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(due)
    process.kill()
    return process.wait() == -9


def writing(out: Path):
    """What is half-written in the folder of checkpoints."""
    return (out / "checkpoint").glob("*.new.part")


def latest_of(out: Path) -> int | None:
    """The last meta-step with a whole checkpoint."""
    names = (path.name for path in (out / "checkpoint").glob("*"))
    return max((int(name) for name in names if name.isdigit()), default=None)


def assert_whole(out: Path) -> None:
    """Everything that does not say so by its name is whole, and no metrics are ahead."""
    if not (out / checkpoint.CONFIG_FILE).exists():
        return
    checkpoint.read_config(out)
    for name in ("checkpoint", "best"):
        for folder in (out / name).glob("*"):
            if folder.name.isdigit():
                sealed.read(folder)
    if (out / "metrics.csv").exists():
        lines = (out / "metrics.csv").read_text().splitlines()
        assert (latest_of(out) or 0) * SEEDS >= len(lines) - 1


def torture(
    folder: Path, updates: int, moments: list[str], seed: int, more: Sequence[str] = ()
) -> tuple[list[Path], Counter]:
    """Kills once for each moment, going on to another run whenever one is finished.

    Returns:
      The run folders, all of them finished in the end, and how often what was killed.
    """
    rng, counts, runs = random.Random(seed), Counter(), []
    for moment in moments:
        for _ in range(20):
            if not runs or (runs[-1] / "results.json").exists():
                runs.append(folder / f"run{len(runs)}" / "run")
                runs[-1].parent.mkdir(parents=True)
            before = latest_of(runs[-1])
            killed = kill(runs[-1], updates, moment, rng, more)
            assert_whole(runs[-1])
            assert (latest_of(runs[-1]) or 0) >= (before or 0)  # nothing that was there is lost
            if killed:
                counts[moment] += 1
                counts["half-written"] += any(runs[-1].rglob("*.part"))
                break
        else:
            raise AssertionError("no process lived long enough to be killed")
    for run in runs:
        finish(run, updates, more)
        assert not list(run.rglob("*.part"))
    return runs, counts
