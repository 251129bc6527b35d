"""Tables of the docs hold what the results beside them do."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from structlat_jax.report import intervals, results

DOCS = Path(__file__).parents[2] / "docs"

MIXTURES = (
    ("triangle", "gau:3"),
    ("triangle", "dir:1x3"),
    ("gain_changes", "dir:1x3,gau:1"),
    ("gain", "dir:1x3,gau:1"),
    ("drift_changes+drift_changes_more", "dir:1x3,gau:2"),
    ("drift", "dir:1x3,gau:2"),
    ("rotgain_changes", "dir:1x3,gau:2"),
    ("rotgain", "dir:1x3,gau:2"),
    ("tetrahedron", "dir:1x4"),
    ("drive_mix", "gau:4"),
    ("drive_mix", "dir:1x3,gau:1"),
    ("speed_mix", "gau:4"),
    ("speed_mix", "dir:1x3,gau:1"),
)
"""Rows of the table of mixtures in structure.md, by suite and latent; ``+`` between suites of other
seeds."""

ELSEWHERE = (
    *(("triangle_confirmed", latent) for latent in ("gau:3", "dir:1x3")),
    *(("triangle_one_start", latent) for latent in ("gau:3", "dir:1x3", "cat:1x3")),
)
"""Further rows that measured.md has."""


def rows(page, first):
    """The rows of the first table of a page whose header begins so, as dictionaries."""
    lines = (DOCS / page).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    header, _, *body = table
    return [dict(zip(header, cells, strict=True)) for cells in body]


def row_of(suites, latent):
    """That of a suite, or of several of other seeds, as if it were one."""
    parts = []
    for suite in suites.split("+"):
        (found,) = json.loads((DOCS / "results" / f"suite_{suite}.json").read_text()).values()
        parts.append(next(row for row in found["rows"] if row["latent"] == latent))
    return pooled(parts)


def pooled(parts):
    """Rows of a latent as one: values of seeds one behind the other, and the means of all seeds."""
    if len(parts) == 1:
        return parts[0]
    counts = [part["seeds"] for part in parts]

    def merged(*values):
        if not isinstance(values[0], dict):
            return np.average(values, weights=counts)
        if "per_seed" not in values[0]:
            return {name: merged(*(value[name] for value in values)) for name in values[0]}
        seeds = np.concatenate([value["per_seed"] for value in values])
        return of_seeds(seeds)

    known = {name for name, value in parts[0].items() if isinstance(value, float | dict)}
    row = {name: merged(*(part[name] for part in parts)) for name in known} | {"seeds": sum(counts)}
    mean, floor, best = row["test_return"]["mean"], row["floor_return"], row["oracle_return"]
    return row | {"percent_of_oracle": results.percent_of_way(mean, floor, best)}


def of_seeds(values):
    interval = intervals.bootstrap_interval(values)
    return {"per_seed": values.tolist(), "mean": values.mean(), "mean_ci95": interval}


def spread(row, seeds):
    found = row["test_return"]
    ends = sorted(found["per_seed"]) if seeds == 2 else found["mean_ci95"]
    between = ", " if seeds == 2 else " to "
    return f"{found['mean']:.2f} ({between.join(f'{end:.2f}' for end in ends)})"


def shares(row):
    """The encoder's posterior alone, in percent of what there is to have."""
    floor, best = row["floor_return"], row["oracle_return"]
    return results.percent_of_way(row["amortised_return"]["mean"], floor, best)


def test_the_table_of_mixtures_is_that_of_the_suites():
    table = rows("structure.md", "family | latent")
    for (suite, latent), said in zip(MIXTURES, table, strict=True):
        assert said["latent"] in ("", f"`{latent}`")
        row, seeds = row_of(suite, latent), int(said["seeds"])
        assert seeds == row["seeds"], suite
        assert said["last episode"] == spread(row, seeds), suite
        assert said["% of oracle"] == f"{row['percent_of_oracle']:.0f}", suite
        assert said["first posterior episode"] == f"{row['first_posterior_return']:.2f}", suite
        if reached := said["tasks that prior episodes reach"]:
            assert reached == f"{100 * row['tasks_reached_by_prior']:.0f} %", suite
        assert said["the encoder's posterior alone"] == f"{shares(row):.0f} %", suite
        assert said["seconds per seed, core"] == f"{row['seconds_per_seed_and_core']:.0f}", suite
        own, *other = row["recovery"]["mixture"].values()
        expected = [f"{own:.2f}"]
        matched = list(row["recovery_matched"]["mixture"].values())
        expected += [f"{x:.2f}" for x in (*matched, *other)]
        assert re.findall(r"-?\d\.\d\d", said["R² of the mixture"]) == expected, suite


@pytest.mark.parametrize(("suite", "latent"), [*MIXTURES, *ELSEWHERE], ids=str)
def test_what_was_measured_is_in_one_table(suite, latent):
    row = row_of(suite, latent)
    said = f"{row['percent_of_oracle']:.0f}: {spread(row, row['seeds'])}"
    assert f"| {said} |" in (DOCS / "measured.md").read_text()


def test_the_table_of_reach_is_that_of_its_seeds():
    more = json.loads((DOCS / "results" / "ml1_reach_gau5_more.json").read_text())
    for said in rows("guides/host.md", "latent"):
        row = row_of("ml1_reach", latent := said["latent"].strip("`"))
        parts = [row, more] if latent == "gau:5" else [row]

        def over_seeds(name, parts=parts):
            return [value for part in parts for value in part[name]["per_seed"]]

        def mean(name, parts=parts):
            counts = [part["seeds"] for part in parts]
            values = (n * part[name] for n, part in zip(counts, parts, strict=True))
            return sum(values) / sum(counts)

        solved, returns = over_seeds("test_success"), over_seeds("test_return")
        assert said["test tasks solved"] == whole([100 * x for x in solved], "% ")
        assert said["return"] == whole(returns)
        ceiling = 100 * sum(returns) / len(returns) / mean("oracle_return")
        # The floor is 280 of 1840: the share of the way and of the return differ by 0.1.
        assert float(said["% of the scripted policy's"]) == pytest.approx(ceiling, abs=1)
        assert said["first posterior episode"] == f"{mean('first_posterior_return'):.0f}"
        alone = over_seeds("amortised_return")
        assert said["the encoder's posterior alone"] == f"{sum(alone) / len(alone):.0f}"


def whole(values, unit=""):
    low, high = intervals.bootstrap_interval(np.array(values))
    return f"{sum(values) / len(values):.0f} {unit}({low:.0f} to {high:.0f})"
