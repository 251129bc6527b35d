"""Serves a live page to browsers of this machine, and nothing else.

A request chooses between the page and its news; nothing of it reaches a file or runs anything. It
must call this machine by a name of the loopback: no page of the network can read along by having a
name of its own point here.
"""

import functools
import re
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from structlat_jax.errors import InputError
from structlat_jax.run.loggers.page_history import History
from structlat_jax.store.run_folder import reason

HOST = "127.0.0.1"
PACE = 1.0
"""Seconds after which a page that asks for news is answered at the latest, and at the earliest
unless there is much of it: the page needs no clock of its own, which a browser would slow down."""
LINGER = 3.0
"""Seconds that the end waits at most for pages to hear of it."""

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_NEWS = re.compile(r"/news\?since=([0-9]{1,12})")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(socketserver.ThreadingTCPServer):
    """Listens from its making on, in a thread that does not outlive the process.

    Args:
      port: Where; 0 is any that is free.
      page: The page, in HTML.
      history: Its news.

    Raises:
      InputError: if it cannot listen there.
    """

    allow_reuse_address = True  # a port whose last connections have just ended is free
    daemon_threads = True

    def __init__(self, port: int, page: str, history: History):
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} cannot be listened on ({reason(error)}); name another, or none, and "
                "one that is free is taken."
            ) from None
        self.page, self.history = page.encode(), history
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._open = 0  # questions that are not answered yet
        self._heard = -float("inf")  # when the last one was
        self._told = False  # whether somebody has been answered up to the end
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where browsers find it."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def watched(self) -> bool:
        """Whether a page is there: it asks, or draws what it has just been told."""
        with self._changed:
            return self._open > 0 or time.monotonic() - self._heard < LINGER

    def news(self, since: int) -> tuple[bytes, bool]:
        """See `History.news`; waits until it is time. Also whether that is all there will be."""
        if not self.history.is_long(since):
            self._ended.wait(PACE)
        whole = self._ended.is_set() and not self.history.is_long(since)
        return self.history.news(since), whole

    def tell(self, since: int, answer: Callable[[bytes], None]) -> None:
        """Gives whoever asks the news."""
        with self._changed:
            self._open += 1
        try:
            news, whole = self.news(since)
            answer(news)
            self._told |= whole
        finally:
            with self._changed:
                self._open -= 1
                self._heard = time.monotonic()
                self._changed.notify_all()

    def end(self) -> None:
        """Answers whoever waits for news, which has its end now, and listens no more."""
        if self._ended.is_set():
            return
        watched = self.watched
        self._ended.set()
        with self._changed:
            # An answer that was begun before may end now, and has not the end.
            self._changed.wait_for(lambda: not watched or (self._open == 0 and self._told), LINGER)
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """A page that was closed in the middle of an answer is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = 10  # seconds in which a request must be there, and an answer taken
    server_version, sys_version = "structlat", ""

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", [])
        news = _NEWS.fullmatch(self.path)
        if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", self.server.page)
        elif news:
            self.server.tell(int(news[1]), functools.partial(self._answer, "application/json"))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are no news for a terminal."""
