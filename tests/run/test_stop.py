"""Signals set a flag; what may be abandoned is abandoned."""

import signal

import pytest

from structlat_jax.run.stop import SIGNALS, Stop


@pytest.fixture(autouse=True)
def not_under_nohup():
    """Whoever starts the tests may ignore a closed terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_only_noted(number):
    before = signal.getsignal(number)
    with Stop() as stop:
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_abandons_what_may_be_abandoned(number):
    done = []
    with Stop() as stop:
        with stop.abandoning():
            done.append("begun")
            signal.raise_signal(number)
            done.append("ended")
        assert stop.asked
        signal.raise_signal(number)  # only noted again
    assert done == ["begun"]


def test_without_a_signal_all_is_done():
    done = []
    with Stop() as stop, stop.abandoning():
        done.append("all")
    assert done == ["all"]
    assert not stop.asked


def test_a_closed_terminal_stops_a_run_unless_nohup_says_otherwise():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as under_nohup:
            signal.raise_signal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with Stop() as usual:
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (under_nohup.asked, usual.asked) == (False, True)
