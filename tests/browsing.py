"""A browser without a screen, for tests of pages, and what must be true of any page it opens."""

import shutil

import pytest

__all__ = ["browser", "open_page"]

DESK, PHONE = (1300, 900), (390, 844)
GONE = ("net::ERR_CONNECTION_", "net::ERR_EMPTY_RESPONSE")
"""What a browser says of a program that has gone."""


@pytest.fixture(scope="module")
def browser():
    """It; whoever has none skips the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no browser is installed")
    with playwright.sync_playwright() as program:
        made = program.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def open_page(browser):
    """Opens a page; at the end there must have been no complaint, but about a program that has
    gone, and no request to anybody else."""
    contexts, said, asked, own = [], [], [], ["file:", "data:", "blob:"]

    def open_(url, ready, size=DESK, scheme="light"):
        width, height = size
        view = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=view, color_scheme=scheme))
        own.append(url)
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(url)
        tab.wait_for_selector(ready)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in said if not any(gone in text for gone in GONE)] == []
    assert all(url.startswith(tuple(own)) for url in asked)
