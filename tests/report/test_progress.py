"""Live output: what is said where there is no terminal, and one meter for several runs."""

import io

import pytest
from rich.console import Console

from structlat_jax.report import results_table

STATUS = {
    "updates_per_second": 10.0,
    "kl": {"gau:2": 1.0},
    "seconds_training": 0.0,
    "seconds_per_update": 2.0,
    "seconds_left": 20.0,
}


def lines_of(total, use, **options):
    out = io.StringIO()
    with progress.Bar(total, Console(file=out, width=80, **options)) as meter:
        use(meter)
    return out.getvalue().splitlines()


def test_a_line_per_evaluation_off_a_terminal():
    def use(meter):
        meter.advance(10, STATUS)
        meter.advance(20, {**STATUS, "evaluated_at": 20})
        meter.advance(30, {**STATUS, "evaluated_at": 20})
        meter.advance(40, {**STATUS, "evaluated_at": 40, "seconds_left": 0.0})

    assert lines_of(40, use) == [
        "     20/40 updates  10 updates/s  KL gau:2 1.00 nats  20 s left",
        "     40/40 updates  10 updates/s  KL gau:2 1.00 nats  0 s left",
    ]


def test_a_bar_on_a_terminal():
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    with progress.Bar(40, console) as meter:
        meter.advance(20, {**STATUS, "seconds_left": 3725.0})
    text = out.getvalue()
    assert "20/40 updates" in text
    assert "left 1:02:05" in text


class Recorder(progress.Silent):
    def __init__(self):
        self.said, self.advanced = [], []

    def message(self, text):
        self.said.append(text)

    def advance(self, updates, status):
        self.advanced.append((updates, status))


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_a_part_counts_on_in_the_whole(clock):
    whole = Recorder()
    part = progress.Part(whole, "gau:2", updates=50, before=2, after=0)
    part.message("compiled")
    part.advance(10, STATUS)
    part.advance(20, {**STATUS, "evaluated_at": 20})
    assert whole.said == ["gau:2: compiled"]
    assert [updates for updates, _ in whole.advanced] == [110, 120]
    first, second = (status for _, status in whole.advanced)
    assert "evaluated_at" not in first
    assert second["evaluated_at"] == 120
    assert "gau:2  10 updates/s" in progress.describe(first)
    assert first["seconds_left"] == 20.0


def test_a_part_knows_what_the_runs_to_come_will_take(clock):
    """Each of the three: 7 seconds to start, and 50 updates of 2 seconds."""
    whole = Recorder()
    part = progress.Part(whole, "gau:2", updates=50, before=0, after=3)
    clock[0] += 7.0 + 80.0
    part.advance(40, {**STATUS, "seconds_training": 80.0})
    assert whole.advanced[0][1]["seconds_left"] == pytest.approx(20.0 + 3 * (7.0 + 100.0))


def test_every_part_that_was_evaluated_is_shown():
    def use(meter):
        for before, name in enumerate(("gau:2", "gau:3")):
            part = progress.Part(meter, name, updates=20, before=before, after=1 - before)
            part.advance(10, STATUS)
            part.advance(20, {**STATUS, "evaluated_at": 20})

    shown = lines_of(40, use)
    assert [line.split()[:3] for line in shown] == [
        ["20/40", "updates", "gau:2"],
        ["40/40", "updates", "gau:3"],
    ]
