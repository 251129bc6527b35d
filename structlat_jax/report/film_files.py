"""Frames to a file that moves: GIF by Pillow, MP4 where there is ffmpeg."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from structlat_jax.errors import InputError
from structlat_jax.report.film import FRAMES_PER_SECOND
from structlat_jax.store.run_folder import WriteError, write_in_one_piece

_COLOURS = 128
_LOOKED_AT = 12
"""About how many frames the colours of a film are taken from."""
_PAUSE = 2000  # milliseconds on the last frame, before a GIF begins anew


def require_format(path: Path) -> None:
    """Raises `InputError` unless a film can be written under this name here."""
    if path.suffix not in (".gif", ".mp4"):
        raise InputError(f"--out must end in .gif or .mp4, not {path.name!r}.")
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise InputError("--out *.mp4 needs the program ffmpeg, which is not here; .gif does not.")


def write(path: Path, frames: Iterable[np.ndarray]) -> float:
    """Writes a film; returns how many seconds it takes.

    Args:
      path: Ends in ``.gif`` or ``.mp4``.
      frames: At least one, ``[height, width, 3]`` in bytes, all alike; even sizes for MP4.

    Raises:
      WriteError: if it cannot be written.
    """
    every = list(frames)
    save = _gif if path.suffix == ".gif" else _mp4
    write_in_one_piece(path, lambda file: save(file, every))
    return len(every) / FRAMES_PER_SECOND


def _gif(file: BinaryIO, frames: list[np.ndarray]) -> None:
    # One palette for all frames: one for each would flicker, and be most of a small file. It is of
    # frames from all over the film, for what one of them shows another may not.
    every = max(1, len(frames) // _LOOKED_AT)
    mosaic = Image.fromarray(np.concatenate(frames[::-every]))
    palette = mosaic.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    images = [Image.fromarray(one).quantize(palette=palette, dither=0) for one in frames]
    durations = [1000 // FRAMES_PER_SECOND] * (len(frames) - 1) + [_PAUSE]
    images[0].save(
        *(file, "GIF"), save_all=True, append_images=images[1:], duration=durations, loop=0
    )


def _mp4(file: BinaryIO, frames: list[np.ndarray]) -> None:
    height, width, _ = frames[0].shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    given = [*raw, "-r", str(FRAMES_PER_SECOND), "-i", "-"]
    made = ["-pix_fmt", "yuv420p", "-movflags", "faststart", "-f", "mp4", "-y", file.name]
    command = ["ffmpeg", "-loglevel", "error", *given, *made]
    done = subprocess.run(
        command, input=b"".join(one.tobytes() for one in frames), capture_output=True, check=False
    )
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
        raise WriteError(f"ffmpeg cannot write {file.name}: {why[-1].rstrip('.')}.")
