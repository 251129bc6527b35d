"""Reading finished runs: what is there comes back, and what is wrong is named."""

import io
import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from drawable import EARLIER, EVALUATED, UPDATES, write_run
from program import must_not_start

from structlat_jax.report.finished_run import name_of_labels
from structlat_jax.report.run_files import evaluated, evaluations, find_runs, read_run
from structlat_jax.store import npz
from structlat_jax.store.checkpoint import CheckpointError

SEEDS = 2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "one", seeds=SEEDS, checkpoint=False)


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def test_what_was_written_comes_back(written):
    run = read_run(written)
    assert (run.path, run.latent, run.seeds) == (written, "dir:1x3,gau:1", SEEDS)
    assert run.results["env"] == "point_robot"
    s = run.config.structure
    assert run.arrays["returns_test"].shape == (SEEDS, s.test_tasks, s.eval_repeats, 4)
    assert run.arrays["axes"].tolist() == ["seed", "task", "repeat", "episode"]
    np.testing.assert_array_equal(run.metrics["updates"], np.repeat(UPDATES, SEEDS))
    empty = ~np.isin(run.metrics["updates"], EVALUATED)
    np.testing.assert_array_equal(np.isnan(run.metrics["test_return"]), empty)


def test_what_not_every_run_has_is_asked_for(written, tmp_path):
    run, dense = read_run(written), read_run(write_run(tmp_path / "dense", dense=True))
    for kind in ("train", "test"):
        arrays, axes = run.arrays, run.returns(kind).shape
        np.testing.assert_array_equal(run.returns(kind), arrays[f"returns_{kind}"])
        np.testing.assert_array_equal(run.encoder(kind), arrays[f"amortised_{kind}"])
        np.testing.assert_array_equal(run.success(kind), arrays[f"success_{kind}"] == 1)
        np.testing.assert_array_equal(run.oracle(kind), np.full(axes[:2], 13.0))
        np.testing.assert_array_equal(run.floor(kind), np.zeros(axes[:2]))
        np.testing.assert_array_equal(dense.floor(kind), np.full(axes[:2], -80.0))
        np.testing.assert_array_equal(run.length(kind), np.full(axes, 20))
        assert dense.encoder(kind) is dense.success(kind) is dense.oracle(kind) is None
    assert run.success().dtype == bool


def test_seeds_that_are_not_finite_can_be_left_out(copy):
    run = read_run(copy)
    run.arrays["belief_test"][:, 0] = np.nan  # which alone is no fault
    assert run.only_finite().seeds == SEEDS
    run.arrays["z_train"][0, 0, 0, 0, 0] = np.inf
    left = run.only_finite()
    assert (left.seeds, run.seeds) == (SEEDS - 1, SEEDS)
    np.testing.assert_array_equal(left.returns(), run.returns()[1:])
    assert left.arrays["axes"].tolist() == run.arrays["axes"].tolist()


def test_files_of_earlier_versions_say_what_they_did_not_write(tmp_path):
    run = read_run(write_run(tmp_path / "run", without=EARLIER))
    for kind in ("train", "test"):
        np.testing.assert_array_equal(run.success(kind), run.returns(kind) > 0)
        np.testing.assert_array_equal(run.floor(kind), np.zeros(run.returns(kind).shape[:2]))
        np.testing.assert_array_equal(run.length(kind), np.full(run.returns(kind).shape, 20))
    assert run.factors() == {}
    assert run.env == ("point_robot", {})
    assert run._replace(results={"env": "another"}).success() is None


def test_factors_and_the_name_of_labels(copy):
    def add(arrays):
        for kind in ("train", "test"):
            axes = arrays[f"label_{kind}"].shape
            arrays[f"factor_mass_{kind}"] = np.ones(axes)
            arrays[f"factor_mixture_{kind}"] = np.stack([arrays[f"label_{kind}"]] * 3, axis=-1)

    assert read_run(copy).label_name == "label"
    change_arrays(copy, add)
    run = read_run(copy)
    assert list(run.factors()) == ["mass", "mixture"]
    assert run.factors("train")["mixture"].shape == (SEEDS, 4, 3)
    assert run.label_name == "mixture"
    assert name_of_labels(np.array([[0, 1, 2]] * 2), {}) == ""
    np.testing.assert_array_equal(run.label(), run.arrays["label_test"])


def test_a_seed_is_finite_if_all_of_it_is(written):
    run = read_run(written)
    np.testing.assert_array_equal(run.finite, [True, True])
    run.arrays["z_train"][1, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(run.finite, [True, False])


@pytest.mark.parametrize("oracle", [True, False])
def test_rows_of_evaluations_are_found_without_an_oracle(oracle):
    metrics = {
        "updates": np.array([5.0, 5.0, 10.0, 10.0]),
        "seed": np.array([0.0, 1.0, 0.0, 1.0]),
        "test_return": np.array([np.nan, np.nan, -20.0, np.nan]),  # seed 1 is not finite
        **({"oracle_return": np.array([np.nan, np.nan, -5.0, -5.0])} if oracle else {}),
    }
    found = evaluated(metrics)
    assert [(row["updates"], row["seed"]) for row in found] == [(10, 0), (10, 1)]
    assert ("test_return" in found[0], "test_return" in found[1]) == (True, False)


def test_evaluations(written):
    run = read_run(written)
    updates, returns = evaluations(run, "test_return")
    np.testing.assert_array_equal(updates, EVALUATED)
    column = run.metrics["test_return"]
    np.testing.assert_array_equal(returns.T.ravel(), column[~np.isnan(column)])


def test_a_diverged_seed_is_nan_and_no_missing_evaluation(written):
    run = read_run(written)
    run.metrics["test_return"][-1] = np.nan
    _, returns = evaluations(run, "test_return")
    np.testing.assert_array_equal(np.isnan(returns), [[False, False], [False, True]])


def test_evaluations_that_are_not_there(written):
    run = read_run(written)
    with pytest.raises(ValueError, match="no column other"):
        evaluations(run, "other")
    shorter = run._replace(metrics={name: v[:-1] for name, v in run.metrics.items()})
    with pytest.raises(ValueError, match="one row per seed for every test_return"):
        evaluations(shorter, "test_return")
    run.metrics["test_return"][:] = np.nan
    with pytest.raises(ValueError, match="one row per seed"):
        evaluations(run, "test_return")


def test_a_name_that_is_too_long_cannot_be_read(tmp_path):
    with pytest.raises(CheckpointError, match=r"x cannot be read: File name too long\.$"):
        find_runs([tmp_path / ("x" * 300)])


def test_find_runs_looks_one_level_down_and_finds_each_once(written, tmp_path):
    table = tmp_path / "table"
    for name in ("b", "a", "a/inner"):
        shutil.copytree(written, table / name)
    (table / "notes").mkdir()
    (table / "file").write_text("")
    assert find_runs([table]) == [table / "a", table / "b"]
    assert find_runs([table / "b", table, str(table / "a")]) == [table / "b", table / "a"]


def test_find_runs_names_what_is_no_run(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, kind, said in (
        ("absent", FileNotFoundError, "does not exist"),
        ("empty", FileNotFoundError, "no config.json"),
        ("file", ValueError, "is a file"),
    ):
        with pytest.raises(kind, match=f"{name}.* {said}"):
            find_runs([tmp_path / name])


@pytest.mark.parametrize("name", ["results.json", "adaptation.npz", "metrics.csv"])
def test_an_unfinished_run_is_not_read(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"not a finished run: it has no {name}"):
        read_run(copy)


def pickled():
    return pickle.dumps({"returns_test": np.ones(3)})


DAMAGE = [
    ("config.json", b"{", "not valid JSON"),
    ("config.json", b"{}", "schema_version"),
    ("results.json", b"\xff\xfe", "results.json is not valid JSON"),
    ("results.json", b"[]", "schema_version 1"),
    ("adaptation.npz", b"", "adaptation.npz cannot be read"),
    ("adaptation.npz", b"PK\x03\x04 and no more", "adaptation.npz cannot be read"),
    ("adaptation.npz", pickled(), "adaptation.npz cannot be read"),
    ("metrics.csv", b"updates,seed\n5,0\n5,one\n", "metrics.csv cannot be read"),
    ("metrics.csv", b"updates,seed\n5\n", "rows differ in length"),
    ("metrics.csv", b"\xff\n\xff", "metrics.csv cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "said"), DAMAGE)
def test_a_damaged_file_is_named(copy, name, content, said):
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        read_run(copy)
    assert "\n" not in str(caught.value).strip()


def test_a_damaged_byte_inside_an_array_is_named(copy):
    """The file is still an archive, and what is in it no longer unpacks."""
    data = bytearray((copy / "adaptation.npz").read_bytes())
    start = data.index(b".npy") + 60
    data[start : start + 64] = bytes(64)
    (copy / "adaptation.npz").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"adaptation.npz cannot be read: .+\.$"):
        read_run(copy)


def change_arrays(folder, change):
    with np.load(folder / "adaptation.npz") as data:
        arrays = dict(data)
    change(arrays)
    np.savez(folder / "adaptation.npz", **arrays)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.pop("belief_test"), "no array belief_test"),
        (lambda a: a.pop("returns_test"), "no array"),
        (lambda a: a.update(kl_test=a["kl_test"][:, :1]), "kl_test must begin with the axes"),
        (lambda a: a.update(oracle_train=np.ones(3)), "oracle_train must begin"),
        (lambda a: a.update(returns_test=np.float32(1)), "must begin with the axes"),
        (lambda a: a.update(floor_test=np.ones(3)), "floor_test must begin"),
        (lambda a: a.update(success_test=np.ones((2, 2))), "success_test must begin"),
        (lambda a: a.update(factor_a_test=np.ones(2)), "factor_a_test must begin"),
        (lambda a: a.update(goal_test=np.array("x")), "goal_test must hold numbers"),
        (lambda a: a.update(goal_test=np.array([None])), "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit_are_named(copy, change, said):
    change_arrays(copy, change)
    with pytest.raises(ValueError, match=said):
        read_run(copy)


def add_member(path, shape, numbers):
    """Adds an array whose header may say anything."""
    head = io.BytesIO()
    said = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, said)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("extra.npy", head.getvalue() + numbers)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2**40,), r"its arrays take 4,398,\S+ bytes, and 8,589,934,592 are allowed\.$"),
        ((-(2**40),), r"has a length below 0\.$"),
        ((3,), r"has another length than it says\.$"),  # less than there is, or more
        ((2**20,), r"has another length than it says\.$"),
    ],
)
def test_what_an_array_says_of_its_length_is_not_believed(copy, shape, said):
    add_member(copy / "adaptation.npz", shape, bytes(2**20))
    with pytest.raises(CheckpointError, match=rf"adaptation.npz cannot be read: .*{said}"):
        read_run(copy)


def test_nothing_is_unpacked_of_a_file_that_is_too_large(copy, monkeypatch):
    """Compressed zeros: a thousandth of what they would take."""
    add_member(copy / "adaptation.npz", (2**22,), bytes(2**24))
    assert (copy / "adaptation.npz").stat().st_size < 2**20
    monkeypatch.setattr(npz, "numbers", must_not_start)
    monkeypatch.setattr(npz, "MOST", 2**24)
    with pytest.raises(CheckpointError, match="bytes, and 16,777,216 are allowed"):
        read_run(copy)


def test_nothing_is_unpacked_of_a_file_that_does_not_fit(copy, monkeypatch):
    change_arrays(copy, lambda a: a.update(kl_test=a["kl_test"][:, :1]))
    monkeypatch.setattr(npz, "numbers", must_not_start)
    with pytest.raises(CheckpointError, match="kl_test must begin with the axes"):
        read_run(copy)


def test_arrays_by_columns_are_read(copy):
    expected = read_run(copy).arrays["path_test"]
    change_arrays(copy, lambda a: a.update(path_test=np.asfortranarray(a["path_test"])))
    np.testing.assert_array_equal(read_run(copy).arrays["path_test"], expected)


def test_a_config_of_other_sizes_does_not_fit(copy):
    data = json.loads((copy / "config.json").read_text())
    data["structure"]["test_tasks"] = 5
    (copy / "config.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"returns_test must begin with the axes \[2, 5, 2, 4\]"):
        read_run(copy)
