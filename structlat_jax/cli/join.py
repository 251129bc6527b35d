"""What ``structlat join`` does: suites that differ in their seeds, as one."""

import time
from collections.abc import Sequence
from pathlib import Path

from structlat_jax.cli import suite
from structlat_jax.cli.console import make_console
from structlat_jax.cli.folders import new_folder
from structlat_jax.cli.tables import LATENTS
from structlat_jax.envs import registry
from structlat_jax.envs.base import Plane
from structlat_jax.errors import InputError
from structlat_jax.report import joined
from structlat_jax.report.finished_run import RunFiles
from structlat_jax.report.names import latent_slug
from structlat_jax.report.run_files import read_run
from structlat_jax.store.run_folder import CheckpointError, read_json, reason


def join(suites: Sequence[Path], out: Path | None) -> int:
    """Joins, compares and draws all families; returns the exit code.

    Raises:
      InputError, CheckpointError, FileNotFoundError: on bad input, before anything changes.
      WriteError: if something cannot be written.
    """
    families = _families(suites)
    runs = {name: _joined(suites, name) for name in families}
    planes = {name: _plane(name, own) for name, own in runs.items()}
    out = new_folder(out, Path("runs") / f"joined-{time.strftime('%Y%m%d-%H%M%S')}", False)
    built = {name: suite.build(own, planes[name]) for name, own in runs.items()}
    drawn = {name: suite.draw(name, own, out) for name, own in runs.items()}
    return suite.report(built, drawn, out, make_console())


def _families(suites: Sequence[Path]) -> list[str]:
    """Those that all suites compare; raises if one compares others."""
    first, *others = [suite.read(path, "structlat join")["families"] for path in suites]
    for path, families in zip(suites[1:], others, strict=True):
        if families != first:
            raise InputError(
                f"{path} compares {'; '.join(families)}, but {suites[0]} compares "
                f"{'; '.join(first)}."
            )
    return first


def _joined(suites: Sequence[Path], name: str) -> dict[str, RunFiles]:
    """The runs of a family by latent, each of all seeds."""
    latents = {path: _latents(suite.folder(path, name)) for path in suites}
    first = latents[suites[0]]
    for path, own in latents.items():
        if own != first:
            raise InputError(
                f"{path} has {'; '.join(own)} on {name}, but {suites[0]} has {'; '.join(first)}."
            )
    return {
        one: joined.join([read_run(suite.folder(path, name) / latent_slug(one)) for path in suites])
        for one in first
    }


def _latents(family: Path) -> list[str]:
    """The latents that a family's folder compares, in its order."""
    where = family / LATENTS.marker
    try:
        return list(map(str, read_json(where)[LATENTS.axis]))
    except OSError as error:
        raise CheckpointError(f"{where} cannot be read: {reason(error)}.") from None
    except (KeyError, TypeError):
        raise CheckpointError(f"{where} does not say which latents it compares.") from None


def _plane(name: str, runs: dict[str, RunFiles]) -> Plane | None:
    """That of the family's environment, which is not made if it is code of the user's own."""
    first = next(iter(runs.values()))
    return None if suite.is_code(name) else registry.named(first.config.env, None).plane
