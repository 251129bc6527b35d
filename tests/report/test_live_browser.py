"""The live page in a browser without a screen, where there is one."""

import io

import numpy as np
import pytest
from browsing import DESK, PHONE
from drawable import walker, write_run
from PIL import Image

from structlat_jax.run.loggers import page_server, to_page

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

HOSTILE = "</h3><b>own"
LINE = """name => [...panels.get(name).chart.data].map(
    one => [one.name, Array.from(one.x), Array.from(one.y)])"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pages are answered soon."""
    monkeypatch.setattr(page_server, "PACE", 0.1)


def train(logger, first, last):
    """Stands for training: an evaluation every fourth time."""
    for step in range(first, last + 1):
        metrics = {"seconds": np.full(2, step / 2.0), "policy": np.array([step, np.nan])}
        metrics |= {"kl gau:1": np.array([0.1, 0.3]) * step, HOSTILE: np.ones(2), "a": np.ones(2)}
        metrics |= {"late": np.ones(2)}
        if step % 4 == 0:
            metrics |= {"test_return": np.array([1.0, 3.0]) * step, "floor_return": np.zeros(2)}
        logger.log(100 * step, metrics)


def shown(tab):
    return tab.locator("#curves section:not([hidden]) h3").all_inner_texts()


def wait_for(tab, place, text):
    playwright.expect(tab.locator(place)).to_contain_text(text, timeout=20_000)


def test_curves_grow_and_stay_when_training_has_ended(open_page, live):
    logger, port = live()
    logger.message("compiled in <b>3 s</b>")
    train(logger, 1, 8)
    tab = open_page(f"http://127.0.0.1:{port}/", "#stages .main-svg")
    assert shown(tab) == ["test_return", "kl gau:1", "policy", HOSTILE, "a"]
    assert tab.locator("b").count() == 0
    assert tab.evaluate(LINE, "test_return") == [
        ["seed 3", [400, 800], [4, 8]],
        ["seed 4", [400, 800], [12, 24]],
        ["mean", [400, 800], [8, 16]],
    ]
    assert tab.evaluate(LINE, "policy")[1][2] == [None] * 8
    wait_for(tab, "#status", "800 updates in 4 s; training goes on")
    wait_for(tab, "#said", "compiled in <b>3 s</b>")
    train(logger, 9, 12)
    wait_for(tab, "#evaluation-said", "After 1,200 updates: return of the last episode on test")
    assert tab.evaluate(LINE, "test_return")[2] == ["mean", [400, 800, 1200], [8, 16, 24]]
    logger.close()
    wait_for(tab, "#status", "1,200 updates in 6 s; training has ended")
    assert tab.locator("#view").is_hidden()
    assert "seed 3" in tab.inner_text("#key")


def test_metrics_are_chosen_from_a_list(open_page, live):
    logger, port = live()
    train(logger, 1, 4)
    tab = open_page(f"http://127.0.0.1:{port}/", "#stages .main-svg")
    tab.click("summary")
    tab.get_by_label("late").check()
    tab.get_by_label("policy").uncheck()
    playwright.expect(tab.locator("#curves section:not([hidden])")).to_have_count(5)
    assert shown(tab) == ["test_return", "kl gau:1", HOSTILE, "a", "late"]


def test_a_program_that_has_gone_is_noticed_and_another_at_its_port_is_shown(open_page, live):
    page, said = to_page.Page(), []
    train(page.logger([3, 4], tell=said.append), 1, 4)
    port = int(said[0].rstrip("/").rpartition(":")[2])
    tab = open_page(f"http://127.0.0.1:{port}/", "#stages .main-svg")
    page.close()  # without a word, as if the program had been killed
    wait_for(tab, "#status", "does not answer any more")
    assert len(shown(tab)) == 5
    other, _ = live(port=port)
    train(other, 1, 2)
    wait_for(tab, "#status", "200 updates in 1 s; training goes on")


def test_the_finished_run_is_there_when_the_program_has_gone(open_page, live, tmp_path):
    run = write_run(tmp_path / "run", checkpoint=False)
    logger, port = live(run=run, env=walker())
    tab = open_page(f"http://127.0.0.1:{port}/", "#stages .main-svg")
    assert tab.title() == "Training run"
    logger.close()
    with tab.context.expect_page() as opened:
        tab.click("#view")
    view = opened.value
    view.wait_for_selector(".world .main-svg")
    assert view.inner_text("h1") == "What the agent believes"


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_it_is_dark_where_asked_and_no_wider_than_the_screen(open_page, live, size):
    logger, port = live()
    train(logger, 1, 8)
    shades = []
    for scheme in ("light", "dark"):
        tab = open_page(f"http://127.0.0.1:{port}/", "#stages .main-svg", size, scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        image = Image.open(io.BytesIO(tab.screenshot())).convert("L")
        shades.append(np.asarray(image))
    assert np.median(shades[0]) > 200 > 60 > np.median(shades[1])
    assert min(shade.std() for shade in shades) > 5
