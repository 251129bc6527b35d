"""Which block of z knows which factor of the task."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from structlat_jax.report.figures_marks import VIRIDIS
from structlat_jax.report.figures_style import INK, arrays, styled


class Matrix(NamedTuple):
    """How well each factor is read off each block of a latent.

    Attributes:
      title: Stands above its panel.
      blocks: Names of its blocks.
      scores: R^2, ``[blocks, factors]``; NaN where there is none.
    """

    title: str
    blocks: Sequence[str]
    scores: ArrayLike


@styled
def blocks_by_factor(matrices: Sequence[Matrix], factors: Sequence[str], title: str = "") -> Figure:
    """R^2 of factors from blocks, a panel per latent: a row per block, a column per factor.

    Args:
      matrices: One per latent.
      factors: Names of the columns.
      title: Stands above the figure.

    Raises:
      ValueError: if there is no matrix or no factor, or if the shapes do not fit each other.
    """
    if not matrices or not factors:
        raise ValueError("there must be at least one matrix and one factor.")
    rows = [len(one.blocks) for one in matrices]
    size = (3.4 + 1.3 * len(factors), 1.3 + sum(0.5 * count + 0.5 for count in rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(matrices), 1, squeeze=False, sharex=True, height_ratios=rows)[:, 0]
    scale = ScalarMappable(Normalize(0.0, 1.0), VIRIDIS)
    for ax, one in zip(axes, matrices, strict=True):
        (scores,) = arrays(scores=(one.scores, f"{len(one.blocks)} {len(factors)}"))
        ax.pcolormesh(scores, norm=scale.norm, cmap=scale.cmap, edgecolors="white", linewidth=2)
        for (row, column), score in np.ndenumerate(scores):
            ink = "white" if np.isfinite(score) and score < 0.6 else INK
            text = f"{score:.2f}" if np.isfinite(score) else "-"
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink)
        ax.set_yticks(np.arange(len(one.blocks)) + 0.5, one.blocks)
        ax.set_xticks(np.arange(len(factors)) + 0.5, factors)
        ax.invert_yaxis()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(one.title, loc="left")
    axes[-1].set_xlabel("factor of the task")
    bar = figure.colorbar(scale, ax=axes, label="R² from a block of z", aspect=25, pad=0.02)
    bar.outline.set_visible(False)
    if title:
        figure.suptitle(title)
    return figure
