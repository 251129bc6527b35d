"""The live page tells what it was told, to this machine alone, and cannot be made to do more."""

import socket
import time

import numpy as np
import pytest
from drawable import walker, write_run
from folders import rows_of
from watching import Watcher, get, news

from structlat_jax.errors import InputError
from structlat_jax.run.loggers import page_history, page_server, to_page
from structlat_jax.run.loggers.page_history import History

pytest.importorskip("plotly")
SEEDS = (3, 4)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pages are answered soon, and not waited for."""
    monkeypatch.setattr(page_server, "PACE", 0.05)
    monkeypatch.setattr(page_server, "LINGER", 0.2)


def test_it_tells_what_it_was_told_and_only_what_is_new(live):
    logger, port = live()
    items, since = news(port)
    assert items == [{"seeds": [3, 4], "name": ""}]
    logger.message("compiled")
    logger.log(5, {"q": np.array([0.1, np.nan]), "kl a": np.array([np.inf, -2.0])})
    logger.log(10, {"q": np.float32(3.0)})
    items, since = news(port, since)
    assert items == [
        {"said": "compiled"},
        {"updates": 5, "metrics": {"q": [0.1, None], "kl a": [None, -2.0]}},
        {"updates": 10, "metrics": {"q": [3.0, 3.0]}},
    ]
    assert news(port, since) == ([], since)
    logger.log(15, {})
    assert news(port, since) == ([{"updates": 15, "metrics": {}}], since + 1)
    assert news(port, 10**9)[0] == []


def test_what_is_told_does_not_change_with_what_was_given(live):
    logger, port = live()
    values = np.ones(2)
    logger.log(5, {"q": values})
    values[:] = 7.0
    assert news(port)[0][-1]["metrics"] == {"q": [1.0, 1.0]}


def test_much_of_it_comes_in_parts(live, monkeypatch):
    monkeypatch.setattr(page_history, "MOST", 10)
    logger, port = live()
    for step in range(12):
        logger.log(step, {"q": np.full(2, step)})
    found, since, parts = [], 0, 0
    while len(found) < 13:
        items, since = news(port, since)
        assert 1 <= len(items) <= 6
        found, parts = found + items, parts + 1
    assert parts == 3
    assert [one["updates"] for one in found[1:]] == list(range(12))


def test_histories_have_names_of_their_own():
    assert History().news(0) != History().news(0)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH"])
def test_nothing_but_get_and_head_is_answered(live, method):
    _, port = live()
    assert get(port, "/", method)[0] == 501
    assert get(port, "/news?since=0", method)[0] == 501


def test_head_has_no_body(live):
    _, port = live()
    for path in ("/", "/news?since=0"):
        assert get(port, path, "HEAD") == (200, b"")
    assert get(port, "/other", "HEAD") == (404, b"")


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "localhost:x", "", "[::2]"]
)
def test_a_foreign_name_is_refused(live, host):
    _, port = live()
    for path in ("/", "/news?since=0"):
        status, body = get(port, path, Host=host)
        assert status == 403
        assert b"Plotly" not in body
        assert b"seeds" not in body


def test_names_of_the_loopback_are_allowed_behind_any_port(live):
    """A port may be forwarded from another machine, where it has another number."""
    _, port = live()
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]:80"):
        assert get(port, "/news?since=0", Host=host)[0] == 200


def test_two_names_or_none_are_refused(live):
    _, port = live()
    for hosts in (b"", b"Host: localhost\r\nHost: example.org\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as own:
            own.sendall(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
            assert own.recv(100).split()[1] == b"403"


@pytest.mark.parametrize(
    "path",
    [
        *("/../../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/index.html", "*", "//["),
        *("/news", "/news?since=", "/news?since=-1", "/news?since=0&x=1", "/news?since=0%00"),
        *("/news?since=" + 20 * "9", "/news/", "http://127.0.0.1/"),
    ],
)
def test_other_places_are_not_there(live, path):
    _, port = live()
    status, body = get(port, path)
    assert status == 404
    assert b"root:" not in body


def test_it_listens_on_the_loopback_address_alone(live):
    _, port = live()
    with pytest.raises(ConnectionRefusedError):  # who listens everywhere, listens there too
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_the_page_forbids_itself_all_others(live):
    _, port = live()
    text = get(port, "/")[1].decode()
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text
    assert "connect-src 'self'" in text
    assert "Plotly" in text


def test_a_port_that_is_taken(live):
    _, port = live()
    with pytest.raises(InputError, match=f"port {port} cannot be listened on"):
        to_page.make(SEEDS, port)


def test_the_end_is_told_to_whoever_waits(live, monkeypatch):
    monkeypatch.setattr(page_server, "LINGER", 20.0)
    monkeypatch.setattr(page_server, "PACE", 20.0)  # but for the end nobody would be answered
    asked, usual = [], page_server.PageServer.news
    monkeypatch.setattr(
        *(page_server.PageServer, "news"),
        lambda self, since: asked.append(since) or usual(self, since),
    )
    logger, port = live()
    logger.log(5, {"q": np.ones(2)})
    start = time.monotonic()
    watchers = [Watcher(port), Watcher(port)]
    while len(asked) < 2:
        time.sleep(0.01)
    logger.close()
    for watcher in watchers:
        points, end = watcher.told()
        assert points == {5: {"q": [1.0, 1.0]}}
        assert end is None
    assert time.monotonic() - start < 10.0
    with pytest.raises(ConnectionRefusedError):
        get(port, "/")


def test_who_does_not_take_the_answer_keeps_the_end_only_a_moment(live):
    logger, port = live()
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"GET /news?since=0 HTTP/1.1\r\nHost: localhost\r\n")  # and no more
        start = time.monotonic()
        logger.close()
        assert time.monotonic() - start < 8.0  # a request may take 10


def test_an_answer_from_before_the_end_is_not_the_end(live, monkeypatch):
    """It was read before the end was there, and is given only then."""
    monkeypatch.setattr(page_server, "LINGER", 20.0)
    logger, port = live()
    given, usual = [], page_server.PageServer.news

    def slow(server, since):
        news, whole = usual(server, since)
        if not given:
            given.append(news)
            while not server._ended.is_set():
                time.sleep(0.01)
            time.sleep(0.2)
        return news, whole

    monkeypatch.setattr(page_server.PageServer, "news", slow)
    watcher = Watcher(port)
    while not given:
        time.sleep(0.01)
    logger.close()
    assert watcher.told()[1] is None


def test_a_page_that_is_behind_hears_the_end(live, monkeypatch):
    monkeypatch.setattr(page_history, "MOST", 4)
    monkeypatch.setattr(page_server, "LINGER", 20.0)
    logger, port = live()
    for step in range(12):
        logger.log(step, {"q": np.full(2, step)})
    watcher = Watcher(port)
    while not watcher.items:
        time.sleep(0.001)
    logger.close()
    points, end = watcher.told()
    assert (list(points), end) == (list(range(12)), None)


def test_a_finished_run_is_there_from_the_start_and_step_by_step_at_the_end(
    live, tmp_path, monkeypatch
):
    monkeypatch.setattr(page_server, "LINGER", 20.0)  # the machine may be busy
    run = write_run(tmp_path / "run", checkpoint=False)
    logger, port = live(run=run, env=walker())
    watcher = Watcher(port)
    while not watcher.items:
        time.sleep(0.01)
    logger.close()
    points, end = watcher.told()
    assert watcher.items[0]["name"] == "run"
    rows = [row for row in rows_of(run) if row["seed"] == "1"]
    assert [str(updates) for updates in points] == [row["updates"] for row in rows]
    for metrics, row in zip(points.values(), rows, strict=True):
        told = {name: values[1] for name, values in metrics.items()}
        assert told == {n: float(x) for n, x in row.items() if x and n not in ("updates", "seed")}
    assert end.startswith("<!doctype html>")
    assert '"plane":' in end


def test_metrics_that_cannot_be_read_are_a_sentence(live, tmp_path):
    (tmp_path / "metrics.csv").write_text("updates,seed,q\n5,3,1\n5,4\n")
    logger, port = live(run=tmp_path)
    items, _ = news(port)
    assert len(items) == 2
    assert "curves begin here: " in items[1]["said"]
    logger.log(10, {"q": np.ones(2)})
    assert news(port, 2)[0] == [{"updates": 10, "metrics": {"q": [1.0, 1.0]}}]


def test_an_evaluation_that_cannot_be_shown_is_a_sentence(live, tmp_path, monkeypatch):
    monkeypatch.setattr(page_server, "LINGER", 20.0)  # the machine may be busy
    run = write_run(tmp_path / "run", checkpoint=False)
    (run / "adaptation.npz").write_bytes(b"nothing")
    logger, port = live(run=run)
    watcher = Watcher(port)
    while not watcher.items:
        time.sleep(0.01)
    logger.close()
    _, end = watcher.told()
    assert end is None
    assert "the last evaluation cannot be shown: " in watcher.items[-2]["said"]
