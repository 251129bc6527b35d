"""What the page of a run is made of: the data that it holds, and that no name breaks out of it."""

import base64
import json
import re

import numpy as np
import pytest
from drawable import EARLIER, STEPWISE, walker, write_run

from structlat_jax.envs.base import Plane
from structlat_jax.report import film
from structlat_jax.report.case import make_cases
from structlat_jax.report.plane import scene
from structlat_jax.report.run_files import read_run
from structlat_jax.report.view import packed, page, story
from structlat_jax.store.run_folder import CheckpointError

PLENTY = 10**7
HOSTILE = "</script><script>alert('1')</script><!--\"&\u2028"


def unpacked(one):
    """An array of a page, as its script reads it."""
    kind = "f4" if "f4" in one else "i2"
    numbers = np.frombuffer(base64.b64decode(one[kind]), f"<{kind}").reshape(one["shape"])
    if kind == "f4":
        return numbers
    values = one["low"] + (numbers.astype(float) + 32767) * one["step"]
    return np.where(numbers == -32768, np.nan, values)


def size(told):
    """Bytes of the arrays of a page."""
    packs = [one for one in told.values() if isinstance(one, dict)]
    return sum(len(one.get(kind, "")) for one in packs for kind in ("f4", "i2"))


def case_of(folder, env=None):
    return make_cases([read_run(folder)], 0, lambda run: env, lambda run, seed: None)[0]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return case_of(write_run(tmp_path_factory.mktemp("view") / "run", checkpoint=False), walker())


def test_exact_arrays_are_exact():
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(unpacked(packed.exact(values)), values)


def test_rounded_arrays_are_close_and_tell_what_is_missing():
    values = np.array([-3.0, 7.0, np.nan, 0.1234567])
    found = unpacked(packed.rounded(values))
    np.testing.assert_allclose(found, values, atol=10.0 / 65534)
    assert found[0] == -3.0
    for same in (np.zeros(3), np.full(3, np.inf)):
        np.testing.assert_array_equal(unpacked(packed.rounded(same)), np.where(same, np.nan, 0.0))


def test_a_story_holds_the_evaluation(case):
    """The first repeat on test tasks, number for number."""
    told, left_out = story.tell(case, PLENTY)
    arrays = case.files.arrays
    for name in ("returns", "belief", "z", "kl", "length", "reward", "spread"):
        expected = arrays[f"{name}_test"][:, :, 0].astype(np.float32)
        np.testing.assert_array_equal(unpacked(told[name]), expected)
    np.testing.assert_array_equal(unpacked(told["mark"]), arrays["goal_test"].astype(np.float32))
    np.testing.assert_allclose(unpacked(told["path"]), arrays["path_test"][:, :, 0], atol=1e-3)
    np.testing.assert_allclose(unpacked(told["leads"]), arrays["leads_test"], atol=1e-3)
    np.testing.assert_allclose(unpacked(told["weight"]), arrays["leads_weight_test"])
    assert told["plane"]["disc"] == 0.2
    assert [block["start"] for block in told["blocks"]] == [0, 3]
    assert told["blocks"][0]["prior"]["mean"] == pytest.approx([1 / 3] * 3)
    assert told["blocks"][1]["prior"]["spread"] == pytest.approx([1.0], rel=0.1)
    assert left_out == []


@pytest.mark.parametrize(("algorithm", "blocks"), [("rl2", 0), ("varibad", 2)])
def test_agents_that_act_on_no_z_show_what_they_believe_and_no_z(case, algorithm, blocks):
    config = case.files.config.replace(algorithm=algorithm, minibatches=1)
    other = case._replace(files=case.files._replace(config=config))
    told, _ = story.tell(other, PLENTY)
    assert "z" not in told
    assert not told["acts_on_z"]
    assert told["prior"] == 1
    assert len(told["blocks"]) == blocks
    assert len(film.of_case(other, 0).blocks) == blocks
    assert next(film.frames(other, 0)).std() > 0


def test_without_its_environment_a_story_has_traces(tmp_path):
    case = case_of(write_run(tmp_path / "run", checkpoint=False))
    told, _ = story.tell(case, PLENTY)
    assert "path" not in told
    assert told["columns"] == [1, 2]
    expected = case.files.arrays["path_test"][:, :, 0]
    np.testing.assert_allclose(unpacked(told["traces"]), expected, atol=1e-3)


def test_files_of_earlier_versions_tell_what_they_have(tmp_path):
    folder = write_run(tmp_path / "run", checkpoint=False, without=(*EARLIER, *STEPWISE))
    case = case_of(folder, walker())
    told, left_out = story.tell(case, PLENTY)
    assert not {"reward", "spread", "leads", "weight"} & set(told)
    assert left_out == ["dir:1x3,gau:1: its rewards of single steps and spread were not recorded."]


def test_what_takes_too_much_room_is_left_out(case):
    whole, _ = story.tell(case, PLENTY)
    most = size(whole) // 2
    told, left_out = story.tell(case, most)
    assert told["seeds"] == [0]
    assert 0.6 * most < size(told) < 1.2 * most
    assert left_out == [
        "dir:1x3,gau:1: 1 of 2 seeds are shown; the others would take too much room."
    ]
    told, left_out = story.tell(case, most // 4)
    assert told["stride"] > 2
    assert left_out[-1] == f"dir:1x3,gau:1: one of {told['stride']} steps is shown."
    rewards = case.files.reward()[:1, :, 0].sum(axis=-1)
    np.testing.assert_allclose(unpacked(told["reward"]).sum(axis=-1), rewards, rtol=1e-5)
    horizon = case.env.horizon
    points = unpacked(told["path"]).shape[-2]
    assert points == 1 + -(-horizon // told["stride"])
    np.testing.assert_array_equal(unpacked(told["length"]), points - 1)
    last = case.files.arrays["path_test"][:1, :, 0, :, -1]
    np.testing.assert_allclose(unpacked(told["path"])[..., -1, :], last, atol=1e-3)


def test_seeds_that_are_not_finite_are_not_shown(tmp_path):
    folder = write_run(tmp_path / "run", checkpoint=False)
    case = case_of(folder)
    case.files.arrays["returns_test"][0] = np.nan
    told, left_out = story.tell(case, PLENTY)
    assert told["seeds"] == [1]
    assert "1 of 2 seeds are shown; the others are not finite" in left_out[0]
    case.files.arrays["returns_test"][1] = np.nan
    with pytest.raises(CheckpointError, match="has no seed that is finite"):
        story.tell(case, PLENTY)


def test_no_name_ends_the_data(case):
    told = {**story.tell(case, PLENTY).data, "name": HOSTILE, "label_name": HOSTILE}
    text = page.page([told], "/* plotly */")
    (data,) = re.findall(r'<script type="application/json" id="runs">(.*?)</script>', text)
    assert json.loads(data)[0]["name"] == HOSTILE
    assert not set("<>&\u2028") & set(data)
    assert text.count("<script") == text.count("</script") == 2 + len(page.SCRIPTS)
    (title,) = re.findall("<title>(.*?)</title>", text)
    assert "<" not in title


def test_an_outline_may_have_gaps():
    gap = np.array([[0.0, 1.0], [np.nan, np.nan], [2.0, 3.0]])
    told = scene.about(Plane(project=None, outline=gap))
    assert json.loads(page.as_json(told))["outline"] == [[0, 1], [None, None], [2, 3]]
    assert scene.about(Plane(project=None))["outline"] is None


def test_a_page_loads_nothing():
    text = page.page([{"name": "run"}], "")
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)\w+:""", text)
    with pytest.raises(ValueError, match="Out of range"):
        page.as_json([float("nan")])
