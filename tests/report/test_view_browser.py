"""The page of a run in a browser without a screen, where there is one: keys, clicks, drags."""

import io

import numpy as np
import pytest
from browsing import DESK, PHONE
from drawable import walker, write_run
from PIL import Image

from structlat_jax.report.case import make_cases
from structlat_jax.report.run_files import read_run
from structlat_jax.report.view import page, story

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

CHARTS = """() => [...document.querySelectorAll('.belief')].map(chart => Object.fromEntries(
    chart.data.map(one => [one.name, Array.from(one.y)])))"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "run"
    run = read_run(write_run(folder, latent="dir:1x3,dir:1x4,gau:2", checkpoint=False))
    return make_cases([run], 0, lambda run: walker(), lambda run, seed: None)[0]


@pytest.fixture(scope="module")
def file(case, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "view.html"
    told = story.tell(case, 10**7).data
    path.write_text(page.page([told, {**told, "name": "</h2><b>other"}], page.library()))
    return path


@pytest.fixture
def opened(open_page, file):
    """Opens the page."""

    def open_(size=DESK, scheme="light"):
        return open_page(f"file://{file}", ".world .main-svg", size, scheme)

    return open_


def wait_for(tab, place, text):
    playwright.expect(tab.locator(place)).to_have_text(text)


def assert_shows(tab, case, seed, task, episode):
    wait_for(tab, "#episode-said", f"{episode + 1} of {case.files.returns().shape[-1]}")
    weights, values = tab.evaluate(CHARTS)[1:3]  # of the first run: one is a triangle
    arrays, at = case.files.arrays, (seed, task, 0, episode)
    belief = arrays["belief_test"][at]
    np.testing.assert_allclose(weights["posterior"], belief[3:7], rtol=1e-6)
    np.testing.assert_allclose(values["posterior"], belief[7:], rtol=1e-6)
    np.testing.assert_allclose(values["z acted on"], arrays["z_test"][at][7:], rtol=1e-6)
    for i, heading in enumerate(tab.locator(".panels h3").all_inner_texts()[2:5]):
        assert f"{arrays['kl_test'][at][i]:.2f} nats" in heading


def test_keys_clicks_and_drags_show_the_belief_that_was_recorded(opened, case):
    tab = opened()
    last = case.files.returns().shape[-1] - 1
    assert_shows(tab, case, 0, 0, last)
    tab.keyboard.press("ArrowDown")
    assert_shows(tab, case, 0, 0, last - 1)
    bar = tab.locator(".returns .point").nth(1).bounding_box()
    tab.mouse.click(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] - 3)
    assert_shows(tab, case, 0, 0, 1)
    slider = tab.locator("#episode").bounding_box()
    middle = slider["y"] + slider["height"] / 2
    tab.mouse.move(slider["x"] + slider["width"] / 3, middle)
    tab.mouse.down()
    tab.mouse.move(slider["x"] + 2, middle, steps=5)
    tab.mouse.up()
    assert_shows(tab, case, 0, 0, 0)
    tab.select_option("#seed", "1")
    tab.select_option("#task", "1")
    assert_shows(tab, case, 1, 1, 0)


def test_steps_follow_the_path(opened, case):
    tab = opened()
    path = case.files.arrays["path_test"][0, 0, 0, 0]
    tab.evaluate("show({ episode: 0, step: 0 })")
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    wait_for(tab, "#step-said", "3 of 20")
    now = tab.evaluate("document.querySelector('.world').data.find(t => t.name == 'now')")
    np.testing.assert_allclose([now["x"][0], now["y"][0]], path[3], atol=1e-3)
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press(" ")
    wait_for(tab, "#step-said", "2 of 20")
    tab.keyboard.press(" ")
    assert tab.inner_text("#play") == "play"


def test_two_runs_side_by_side_and_names_as_text(opened):
    tab = opened()
    assert tab.locator(".side").count() == 2
    assert tab.locator("b").count() == 0
    assert "</h2><b>other on point_robot" in tab.locator("h2").all_inner_texts()
    tab.select_option("#beside", "")
    playwright.expect(tab.locator(".side")).to_have_count(1)


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_it_is_dark_where_asked_and_no_wider_than_the_screen(opened, size):
    shades = []
    for scheme in ("light", "dark"):
        tab = opened(size, scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        image = Image.open(io.BytesIO(tab.screenshot())).convert("L")
        shades.append(np.asarray(image))
    assert np.median(shades[0]) > 200 > 60 > np.median(shades[1])
    assert min(shade.std() for shade in shades) > 5


RANGES = (
    """(place) => [...document.querySelectorAll(place)].map(chart => chart.layout.yaxis.range)"""
)


def test_returns_side_by_side_are_on_one_scale(case, open_page, tmp_path):
    low = story.tell(case, 10**7).data
    files = case.files
    more = {**files.arrays, "returns_test": 5.0 * files.arrays["returns_test"]}
    high = story.tell(case._replace(files=files._replace(arrays=more)), 10**7).data
    path = tmp_path / "view.html"
    path.write_text(page.page([low, {**high, "name": "more"}], page.library()))
    tab = open_page(f"file://{path}", ".world .main-svg")
    one, other = tab.evaluate(RANGES, ".returns")
    assert one == other
    assert one[1] > more["returns_test"][0, 0, 0].max()
    alone = {**high, "name": "more", "env": "another"}
    path.write_text(page.page([low, alone], page.library()))
    one, other = open_page(f"file://{path}", ".world .main-svg").evaluate(RANGES, ".returns")
    assert one != other


def test_a_hypothesis_that_leads_out_of_the_world_is_left_out(case, open_page, tmp_path):
    files = case.files
    wild = {**files.arrays, "leads_test": 1e30 * np.ones_like(files.arrays["leads_test"])}
    blind = case._replace(files=files._replace(arrays=wild), env=None)
    path = tmp_path / "view.html"
    path.write_text(page.page([story.tell(blind, 10**7).data], page.library()))
    tab = open_page(f"file://{path}", ".world .main-svg")
    low, high = tab.evaluate(RANGES, ".world")[0]
    assert -100 < low < high < 100
    shown = tab.evaluate(
        "document.querySelector('.world').data.filter(t => t.name == 'hypotheses').map(t => t.y)"
    )
    assert all(len(y) == 0 for y in shown)
