"""Whoever watches a live page, as a program."""

import json
import threading
import time
from http.client import HTTPConnection, HTTPException


def get(port, path, method="GET", **headers):
    """Status and body of one request to the loopback address."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def news(port, since=0):
    """The items from one on, and since when to ask next."""
    status, body = get(port, f"/news?since={since}")
    assert status == 200
    answer = json.loads(body)
    return answer["items"], answer["next"]


class Watcher(threading.Thread):
    """Asks for news, from when there is somebody to ask, until they have their end.

    Attributes:
      items: All that it was told.
    """

    def __init__(self, port, seconds=240.0):
        super().__init__(daemon=True)
        self.port, self.items = port, []
        self._until = time.monotonic() + seconds
        self.start()

    def run(self):
        since = 0
        while time.monotonic() < self._until and not (self.items and "end" in self.items[-1]):
            try:
                new, since = news(self.port, since)
                self.items.extend(new)
            except (OSError, HTTPException):
                time.sleep(0.02)

    def told(self):
        """Waits for the end; by updates, the metrics, and how it ended."""
        self.join()
        points = {one["updates"]: one["metrics"] for one in self.items if "metrics" in one}
        return points, self.items[-1]["end"]
