"""The console's logger: what is said where there is no terminal, and one meter for several runs."""

import io

import numpy as np
import pytest
from rich.console import Console

from structlat_jax.run.loggers import console as live
from structlat_jax.run.stop import Stop

KL = {"kl gau:2": np.array([0.5, 1.5]), "q": np.array([1.0, 2.0])}
EVALUATED = {**KL, "test_return": np.array([2.0, 4.0]), "percent_of_oracle": np.array([20.0, 40.0])}


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live.time, "perf_counter", lambda: now[0])
    return now


def shown(use, updates=40, runs=1, **options):
    out = io.StringIO()
    with live.Meter([updates] * runs, Console(file=out, width=100, **options)) as meter:
        use(meter)
    return out.getvalue()


def test_a_line_per_evaluation_off_a_terminal(clock):
    def use(meter):
        logger = meter.logger()
        for updates, metrics in ((10, KL), (20, EVALUATED), (30, KL), (40, EVALUATED)):
            clock[0] += 1.0
            logger.log(updates, metrics)

    assert shown(use).splitlines() == [
        "     20/40 updates  10 updates/s  test 3.00 (30 %)  KL gau:2 1.00 nats  2 s left",
        "     40/40 updates  10 updates/s  test 3.00 (30 %)  KL gau:2 1.00 nats  0 s left",
    ]


def test_a_line_a_minute_where_evaluations_are_rare(clock):
    def use(meter):
        logger = meter.logger()
        for updates in range(1, 8):
            clock[0] += 25.0
            logger.log(updates, EVALUATED if updates == 4 else KL)

    done = [int(line.partition("/")[0]) for line in shown(use).splitlines()]
    assert done == [3, 4, 7]  # after 75 seconds, the evaluation, 75 after that


def test_what_nobody_knows_is_not_shown(clock):
    """No oracle, no KL, and no rate yet after the first meta-step."""
    lines = shown(lambda m: m.logger().log(20, {"test_return": np.array([-30.0, -20.0])}))
    assert lines.splitlines() == ["     20/40 updates  test -25.00"]


def test_seeds_that_are_not_finite_are_in_no_mean(clock):
    lines = shown(lambda m: m.logger().log(20, {"test_return": np.array([np.nan, -20.0])}))
    assert "test -20.00" in lines


def test_a_bar_on_a_terminal(clock):
    def use(meter):
        logger = meter.logger()
        logger.log(10, KL)
        clock[0] += 3725.0
        logger.log(20, KL)
        logger.log(30, KL)

    text = shown(use, force_terminal=True, color_system=None)
    assert "30/40 updates" in text


def test_a_run_of_several_counts_on_and_says_its_name(clock):
    def use(meter):
        for before, name in enumerate(("gau:2", "gau:3")):
            logger = meter.logger(name, before)
            logger.message("compiled")
            logger.log(10, KL)
            clock[0] += 1.0
            logger.log(20, EVALUATED)

    lines = shown(use, updates=20, runs=2).splitlines()
    assert lines[0] == "gau:2: compiled"
    assert lines[1].split()[:3] == ["20/40", "updates", "gau:2"]
    assert lines[3].split()[:3] == ["40/40", "updates", "gau:3"]


def test_the_time_left_counts_the_runs_to_come(clock):
    """Each of three takes 7 seconds to start, and half a second for each of 40 updates."""

    def use(meter):
        logger = meter.logger("a", 0)
        clock[0] += 7.0
        logger.log(10, KL)
        clock[0] += 5.0
        logger.log(20, EVALUATED)

    left = 20 * 0.5 + 2 * (7.0 + 40 * 0.5)
    assert shown(use, runs=3).rstrip().endswith(f"{left:.0f} s left")


def test_markup_in_a_message_is_text():
    assert "[bold]x[/bold]" in shown(lambda m: m.message("in [bold]x[/bold]"))


def test_output_that_nobody_reads_stops_a_run_as_a_signal_does(capsys):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    meter = live.Meter([10], Console(file=Gone()))
    with Stop() as asked:
        meter.message("one")
        meter.message("two")
    assert asked.asked
    assert capsys.readouterr().err.count("saving") == 1
