"""``--live``: a run whose curves are on a page of this machine meanwhile."""

import socket
import sys

import pytest
from folders import rows_of
from program import TINY, assert_refused, interrupt_at, must_not_start
from watching import Watcher, get

from structlat_jax.cli import train
from structlat_jax.run.loggers import page_server

pytest.importorskip("plotly")


@pytest.fixture
def port():
    """One that is free."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def assert_has(points, rows):
    assert list(points) == sorted({int(row["updates"]) for row in rows})
    for seed in {row["seed"] for row in rows}:
        own = [row for row in rows if row["seed"] == seed]
        for (updates, metrics), row in zip(points.items(), own, strict=True):
            told = {name: values[int(seed) - 4] for name, values in metrics.items()}
            table = {n: float(x) for n, x in row.items() if x and n not in ("updates", "seed")}
            assert told == {**dict.fromkeys(told), **table}, updates


@pytest.mark.slow
def test_a_run_that_is_interrupted_and_goes_on_is_told_whole(here, tmp_path, port, monkeypatch):
    monkeypatch.setattr(page_server, "PACE", 0.05)
    monkeypatch.setattr(page_server, "LINGER", 20.0)  # the machine may be busy
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 10)
        watcher = Watcher(port)
        done = here(*TINY, "--live", port, "--out", run)
    assert done.code == 130, done.err
    assert done.out.count(f"live at http://127.0.0.1:{port}/\n") == 1
    points, end = watcher.told()
    assert list(points) == [5, 10]
    assert end is None
    watcher = Watcher(port)
    done = here(*TINY, "--live", port, "--resume", "--out", run)
    assert done.code == 0, done.err
    points, end = watcher.told()
    assert_has(points, rows_of(run))
    assert [one["name"] for one in watcher.items if "name" in one] == ["run"]
    assert "compiled in" in next(one["said"] for one in watcher.items if "said" in one)
    assert end.startswith("<!doctype html>")
    with pytest.raises(ConnectionRefusedError):
        get(port, "/")


def test_without_a_port_a_free_one_is_chosen(here, tmp_path, monkeypatch):
    ports = []

    def stop(job, resume, sinks, page):
        ports.append(page._server.server_address)
        return 0

    monkeypatch.setattr(train, "_go", stop)
    done = here("--live", *TINY, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    ((host, port),) = ports
    assert host == "127.0.0.1"
    assert port > 0
    with pytest.raises(ConnectionRefusedError):  # and with the program, the page has gone
        get(port, "/")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x", "--live must be a whole number from 0 to 65535, not 'x'."),
        ("65536", "--live must be a whole number from 0 to 65535, not '65536'."),
        ("8e-1", "--live must be a whole number from 0 to 65535, not '8e-1'."),
    ],
)
def test_what_is_no_port(here, tmp_path, given, said):
    line = assert_refused(here(*TINY, "--live", given, "--out", tmp_path / "run"))
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken(here, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "run", must_not_start)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        line = assert_refused(here(*TINY, "--live", port, "--out", tmp_path / "run"))
    assert f"--live: port {port} cannot be listened on (Address already in use)" in line
    assert list(tmp_path.iterdir()) == []


def test_a_page_needs_a_library(here, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    line = assert_refused(here(*TINY, "--live", "--out", tmp_path / "run"))
    assert "--live: a page needs plotly: pip install 'structlat-jax[view]'" in line
    assert list(tmp_path.iterdir()) == []
