"""A quick run of every benchmark, so that none rots."""

import json

import pytest
from click.testing import CliRunner
from tiny import quick_compile

from benchmarks import (
    bodies,
    compile,
    environment,
    evaluation,
    export,
    harness,
    host,
    roofline,
    scaling,
    seeds,
    step_throughput,
    time_to_return,
)

pytestmark = pytest.mark.slow

BENCHMARKS = {
    "compile": (compile.command, []),
    "step_throughput": (step_throughput.command, []),
    "roofline": (roofline.command, []),
    "environment": (environment.command, []),
    "evaluation": (evaluation.command, []),
    "export": (export.command, []),
    "bodies": (bodies.command, []),
    "host": (host.command, []),
    "seeds": (seeds.command, []),
    "scaling": (scaling.command, ["--axis", "seeds"]),
    "time_to_return": (time_to_return.command, []),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_quick_run_measures_and_records(name, tmp_path, monkeypatch):
    if name == "bodies":
        pytest.importorskip("mujoco")
        pytest.importorskip("gymnasium.envs.mujoco")
    command, arguments = BENCHMARKS[name]
    if name == "host":
        pytest.importorskip("metaworld", reason="Meta-World is not installed")
    # For the processes that some of them start.
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "xla"))
    with quick_compile():
        done = CliRunner().invoke(command, ["--quick", *arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["machine"]["jax_version"]
    assert found["rows"]
    for row in found["rows"]:
        for field in (field for field in row if field.endswith(" median") or field == "median"):
            low, high = (row[field.replace("median", other)] for other in ("min", "max"))
            assert 0 < low <= row[field] <= high


def test_without_torch_its_half_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(step_throughput, "has_torch", lambda: False)
    arguments = ["--quick", "--preset", "cpu", "--out", str(tmp_path)]
    with quick_compile():
        done = CliRunner().invoke(step_throughput.command, arguments)
    assert done.exit_code == 0, done.output
    assert "PyTorch is not installed" in done.output
    rows = json.loads((tmp_path / "step_throughput.json").read_text())["rows"]
    assert [row["program"] for row in rows][:3] == [
        "op by op",
        "jitted update",
        "scanned updates",
    ]
    assert not any("PyTorch" in row["program"] for row in rows)


def test_latents_that_torch_lacks_leave_its_row_out(tmp_path):
    pytest.importorskip("torch")
    arguments = ["--quick", "--preset", "cpu", "--latent", "vmf:1", "--out", str(tmp_path)]
    with quick_compile():
        done = CliRunner().invoke(step_throughput.command, arguments)
    assert done.exit_code == 0, done.output
    assert "not vmf:1. Its row is left out." in " ".join(done.output.split())
    rows = json.loads((tmp_path / "step_throughput.json").read_text())["rows"]
    assert {row["latent"] for row in rows} == {"vmf:1"}
    assert not any("PyTorch" in row["program"] for row in rows)


def test_timings_leave_the_first_call_out():
    calls = []
    assert len(harness.timings(lambda: calls.append(0), 3)) == 3
    assert len(calls) == 4


def test_programs_take_turns():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = harness.interleaved(calls, 2)
    assert order == list("ababab")
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 2, "b": 2}


def test_exponent_of_a_power_law():
    assert harness.exponent([1, 2, 4], [3.0, 3.0 * 2**1.5, 3.0 * 4**1.5]) == pytest.approx(1.5)
