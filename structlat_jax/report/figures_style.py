"""What the figures share: style, colours, shape checks, intervals over seeds, saving.

The figures are made from `matplotlib.figure.Figure` alone: no pyplot, no backend and no global
state, so that they can be drawn in any process and thread that draws one figure at a time.
Shape letters: S seeds, P points in time, T tasks, R repeats, E episodes, H horizon, D dim z.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from structlat_jax.store.run_folder import write_in_one_piece

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
    "text.parse_math": False,  # a name with two dollars is a name
}
"""Settings of every figure, on top of matplotlib's own and whatever the user's are."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
"""Okabe and Ito's colours, which readers with any colour vision can tell apart."""

FAINT = "#B8B8B8"
INK = "#333333"
PRIOR_LINE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
"""What was believed before anything was seen."""
CONFIDENCE = 0.95
SEEDS_FOR_BAND = 3
DPI = 150

Figured = Callable[..., Figure]


def of_episode(number: int, prior: int) -> str:
    """The colour of an episode, counted from 0: the first ``prior`` have another than the rest."""
    return PALETTE[5 if number < prior else 0]


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Within it, matplotlib has its defaults and `STYLE`; a user's file of settings, which may ask
    for LaTeX, has no say."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(draw: Figured) -> Figured:
    """Runs a plotting function under `own_settings`."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with own_settings():
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
    with own_settings():
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
