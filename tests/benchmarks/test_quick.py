"""A quick run of every benchmark, so that none rots."""

import json

import pytest
from click.testing import CliRunner

from benchmarks import harness, start, step_throughput


@pytest.mark.parametrize(
    ("name", "command", "rows"),
    [("start", start.command, 2), ("step_throughput", step_throughput.command, 3)],
)
def test_quick_run_measures_and_records(name, command, rows, tmp_path):
    done = CliRunner().invoke(command, ["--quick", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["machine"]["jax_version"]
    assert len(found["rows"]) == rows
    assert all(0 < row["min"] <= row["median"] <= row["max"] for row in found["rows"])


def test_timings_leave_the_first_call_out():
    calls = []
    assert len(harness.timings(lambda: calls.append(0), 3)) == 3
    assert len(calls) == 4
