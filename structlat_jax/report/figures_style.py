"""What the figures share: style, colours, shape checks, intervals over seeds, saving.

The figures are made from `matplotlib.figure.Figure` alone: no pyplot, no backend and no global
state, so that they can be drawn in any process and thread that draws one figure at a time.
Shape letters: S seeds, P points in time, T tasks, R repeats, E episodes, H horizon, D dim z.
"""

import functools
import pathlib
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from structlat_jax.run_folder import write_in_one_piece

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "figure.titlesize": 13,
    "legend.fontsize": 11,
    "legend.title_fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.1,  # more would push legends below a figure onto its labels
    "legend.columnspacing": 1.4,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
"""Matplotlib settings of every figure, applied in a context and never globally."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
"""Okabe and Ito's colours, which readers with any colour vision can tell apart."""

GOAL = "#0B2A6F"
FAINT = "#B8B8B8"
INK = "#333333"
CONFIDENCE = 0.95
SEEDS_FOR_BAND = 3
DPI = 150

Figured = Callable[..., Figure]


def styled(draw: Figured) -> Figured:
    """Runs a plotting function under `STYLE`, whatever the caller's settings are."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def save(figure: Figure, path: str | pathlib.Path) -> pathlib.Path:
    """Writes a figure; the suffix names the format, and PNG (150 dpi) is the default.

    Args:
      figure: Any of this package's figures.
      path: Where to; folders that do not exist are made.

    Returns:
      The path written, with its suffix.
    """
    path = pathlib.Path(path)
    path = path if path.suffix else path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"dpi": DPI, "facecolor": "white", "format": path.suffix[1:]}
    with matplotlib.rc_context(STYLE):
        write_in_one_piece(path, lambda file: figure.savefig(file, **options))
    return path


def arrays(**named: tuple[ArrayLike, str]) -> list[np.ndarray]:
    """Turns arguments into float arrays and checks their shapes against each other.

    Args:
      **named: ``name=(values, axes)``; axes are names or numbers with spaces between, for instance
        ``"T E 2"``. A name that occurs twice must have one size.

    Raises:
      ValueError: if a shape does not fit, or an axis is empty.
    """
    sizes: dict[str, int] = {}
    out = []
    for name, (values, axes) in named.items():
        array = np.asarray(values, dtype=float)
        letters = axes.split()
        known = [int(a) if a.isdigit() else sizes.get(a) for a in letters]
        fits = array.ndim == len(letters) and all(
            size > 0 and wanted in (None, size)
            for size, wanted in zip(array.shape, known, strict=True)
        )
        if not fits:
            wanted = ", ".join(
                a if k is None or a.isdigit() else f"{a}={k}"
                for a, k in zip(letters, known, strict=True)
            )
            raise ValueError(f"{name} must be [{wanted}], not {list(array.shape)}.")
        sizes.update(zip(letters, array.shape, strict=True))
        out.append(array)
    return out


def colours(n: int) -> list:
    """``n`` colours that differ: the palette, or steps of one colour map where it is too short."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    return list(matplotlib.colormaps["viridis"](np.linspace(0.0, 1.0, n)))


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds and half the width of its 95 % t-interval.

    Args:
      values: ``[S, ...]``.

    Returns:
      Mean and half width, both ``[...]``; the half width is NaN for one seed.
    """
    seeds = values.shape[0]
    mean = np.mean(values, axis=0)
    if seeds == 1:
        return mean, np.full_like(mean, np.nan)
    with np.errstate(invalid="ignore"):  # a diverged seed leaves a gap, not a warning
        error = np.std(values, axis=0, ddof=1) / np.sqrt(seeds)
    return mean, error * stats.t.ppf(0.5 + CONFIDENCE / 2, seeds - 1)


def seed_lines(
    ax: Axes, x: np.ndarray, values: np.ndarray, colour, label: str, style="-", thin: bool = True
) -> None:
    """Draws ``[S, P]``: the mean, one thin line per seed, and its interval from three seeds on
    (that of two is 25 standard errors wide and would be all that one sees). Without ``thin``, for
    pictures of many lines, the seeds' own lines are drawn only where there is no interval."""
    band = values.shape[0] >= SEEDS_FOR_BAND
    mean, half = interval(values)
    marker = "o" if x.size == 1 else None
    if values.shape[0] > 1 and (thin or not band):
        ax.plot(x, values.T, color=colour, linewidth=0.7, alpha=0.45, zorder=2)
    if band:
        ax.fill_between(x, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
    ax.plot(x, mean, color=colour, linestyle=style, marker=marker, label=label, zorder=3)


def seeds_note(seeds: int) -> str:
    """What the thick line and the band are, in words."""
    if seeds == 1:
        return "one seed"
    if seeds < SEEDS_FOR_BAND:
        return f"thick: mean of {seeds} seeds; thin: each seed"
    return f"thick: mean of {seeds} seeds; band: its 95% t-interval; thin: each seed"


def oracle_line(ax: Axes, oracle: float, label: str = "oracle") -> None:
    """Marks the return of the controller that knows the task."""
    ax.axhline(oracle, color=INK, linestyle=(0, (5, 3)), linewidth=1.3, label=label, zorder=2)


def from_zero(ax: Axes, *values: np.ndarray) -> None:
    """Starts the y axis at zero, unless a value is negative."""
    if not any(np.any(v < 0) for v in values):
        ax.set_ylim(bottom=0.0)


def top_at(ax: Axes, oracle: float, *values: np.ndarray) -> None:
    """Ends the y axis above the oracle and all lines, but not above a wide band."""
    finite = [np.max(v, where=np.isfinite(v), initial=oracle) for v in values]
    if oracle > 0:
        ax.set_ylim(top=max(1.06 * oracle, 1.02 * max(finite)))


def episode_ticks(episodes: int) -> list[int]:
    """Round episode numbers, counted from 1, the first one included."""
    step = max(1, 5 * round(episodes / 20)) if episodes >= 10 else 1
    return sorted({1, *range(step, episodes + 1, step)})


def percent_axis(ax: Axes, oracle: float) -> None:
    """Adds the axis on the right that reads returns as a percentage of the oracle's."""
    if not oracle > 0:
        return
    percent = ax.secondary_yaxis(
        "right", functions=(lambda r: 100.0 * r / oracle, lambda p: p * oracle / 100.0)
    )
    percent.set_ylabel("% of oracle")
