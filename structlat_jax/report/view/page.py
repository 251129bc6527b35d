"""The pages: a plotting library, finished runs as JSON and what shows them, in one file; and what
shows a run that is under way.

Whatever a run folder calls itself is data here and never markup: JSON is written without the signs
by which a browser would find an end of it, and the page's own policy forbids it to load anything.
"""

import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from structlat_jax.errors import InputError

SCRIPTS = (
    *("elements.js", "unpack.js", "colours.js"),
    *("world.js", "beliefs.js", "returns.js", "viewer.js"),
)
_LIVE_SCRIPTS = ("elements.js", "colours.js", "curves.js", "live.js")
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def library() -> str:
    """The JavaScript of plotly, which draws.

    Raises:
      InputError: if it is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError("a page needs plotly: pip install 'structlat-jax[view]'.") from None
    return get_plotlyjs()


def page(stories: Sequence[dict[str, Any]], plotly: str) -> str:
    """The file.

    Args:
      stories: At least one; see `story.tell`.
      plotly: From `library`.
    """
    title = ", ".join(one["name"] for one in stories)
    data = f'<script type="application/json" id="runs">{as_json(stories)}</script>'
    return _document(title, _POLICY, ["viewer.css"], _asset("viewer.html") + data, plotly, SCRIPTS)


def live(plotly: str) -> str:
    """The page of a run that is under way. It asks whoever serves it for ``news?since=N``, and may
    ask nobody else.

    Args:
      plotly: From `library`.
    """
    policy = f"{_POLICY}; connect-src 'self'"
    styles = ["viewer.css", "live.css"]
    return _document("training", policy, styles, _asset("live.html"), plotly, _LIVE_SCRIPTS)


def as_json(value: Any) -> str:
    """Compact JSON that may stand within a ``script`` element; raises `ValueError` if a number in
    it is not finite."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def _document(
    title: str, policy: str, styles: Sequence[str], body: str, plotly: str, scripts: Sequence[str]
) -> str:
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',  # or a browser asks for one
            f"<title>{html.escape(title)}</title>",
            *(f"<style>{_asset(name)}</style>" for name in styles),
            "</head>",
            body,
            f"<script>{plotly}</script>",
            *(f"<script>{_asset(name)}</script>" for name in scripts),
            "</html>\n",
        ]
    )


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text("utf-8")
