"""Arrays on disk: what goes in comes out, in pieces; what lies is refused and takes no memory."""

import contextlib
import io
import struct
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same

from structlat_jax.store import array_files
from structlat_jax.store.run_folder import CheckpointError

MEBIBYTE = 2**20
LIKE = {"w": jax.ShapeDtypeStruct((2, 3), np.float32), "n": jax.ShapeDtypeStruct((), np.int32)}
TREE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7, np.int32)}


def npy(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version)
    return file.getvalue()


def header(shape, dtype="<f4", by_columns=False):
    """The start of a member that says what it likes."""
    file = io.BytesIO()
    said = {"descr": dtype, "fortran_order": by_columns, "shape": shape}
    np.lib.format.write_array_header_1_0(file, said)
    return file.getvalue()


def put(folder, members, compression=zipfile.ZIP_STORED):
    """An archive by hand."""
    path = folder / array_files.places("tree")[0]
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def refused(folder, like=LIKE, **options):
    """Why; in a sentence, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            array_files.read(folder, "tree", like, **options)
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(str(folder))
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 500 + len(str(folder))
    return text


MANY_TYPES = {
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
    "flag": np.array([True, False]),
    "key": np.array([1, 2], np.uint32),
    "brief": jnp.arange(3, dtype=jnp.bfloat16),
    "nested": {"file": jnp.ones((2, 1)), "nothing": (), "list": [np.int8(1), np.float16(2)]},
}


def test_what_is_written_is_read(tmp_path):
    array_files.write(tmp_path, one=MANY_TYPES, other={"x": np.ones(2)})
    assert_same(array_files.read(tmp_path, "one", MANY_TYPES), MANY_TYPES)
    assert_same(array_files.read(tmp_path, "other", {"x": np.ones(2)}), {"x": np.ones(2)})
    with np.load(tmp_path / "arrays" / "one.npz", allow_pickle=False) as found:
        assert set(found.files) == set(array_files.named(MANY_TYPES))
        assert "nested.list.1" in found.files
        np.testing.assert_array_equal(found["columns"], MANY_TYPES["columns"])


def test_equal_trees_are_equal_files(tmp_path, monkeypatch):
    array_files.write(tmp_path, one=TREE)
    monkeypatch.setattr("time.time", lambda: 2e9)
    array_files.write(tmp_path, two=TREE)
    one, two = ((tmp_path / "arrays" / f"{name}.npz").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_path_that_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "run[lr=0.001]*?"
    folder.mkdir()
    array_files.write(folder, tree=TREE)
    assert_same(array_files.read(folder, "tree", LIKE), TREE)


def test_no_second_copy_in_memory(tmp_path):
    size = 48 * MEBIBYTE
    tree = {"a": np.arange(size // 8, dtype=np.float32), "b": np.ones(size // 2, np.uint8)}
    tracemalloc.start()
    try:
        array_files.write(tmp_path, tree=tree)
        assert tracemalloc.get_traced_memory()[1] < size / 2  # NumPy writes 16 MiB at a time
        tracemalloc.reset_peak()
        found = array_files.read(tmp_path, "tree", tree)
        assert tracemalloc.get_traced_memory()[1] < 1.1 * size
    finally:
        tracemalloc.stop()
    assert_same(found, tree)


@pytest.mark.parametrize("tree", [{"a.b": 1.0, "a": {"b": 2.0}}, {"x": np.array([object()])}])
def test_what_cannot_be_stored_is_not(tmp_path, tree):
    with pytest.raises(ValueError, match=r"two arrays have the name 'a\.b'|Object arrays"):
        array_files.write(tmp_path, tree=tree)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"w": TREE["w"]}, "has no array 'n', so another version"),
        ({**TREE, "more": TREE["n"]}, "has an array 'more', so another version"),
        (
            {"w": TREE["w"].T, "n": TREE["n"]},
            r"shapes .* float32\[3, 2\], not float32\[",
        ),
        ({"w": np.arange(6.0).reshape(2, 3), "n": TREE["n"]}, r"is float64\[2, 3\], not float32"),
        ({"w": TREE["w"].astype(">f4"), "n": TREE["n"]}, "is >f4"),
    ],
    ids=["less", "more", "shape", "type", "byte order"],
)
def test_other_arrays_are_refused(tmp_path, members, words):
    put(tmp_path, {name: npy(array) for name, array in members.items()})
    with pytest.raises(CheckpointError, match=words):
        array_files.read(tmp_path, "tree", LIKE)
    refused(tmp_path)


def test_shapes_are_not_looked_at_if_so_asked(tmp_path):
    array_files.write(tmp_path, tree={**TREE, "w": np.ones((4, 1), np.float32)})
    assert array_files.read(tmp_path, "tree", LIKE, shapes=False)["w"].shape == (4, 1)


def test_whole_parts_may_be_passed_over(tmp_path):
    array_files.write(tmp_path, tree={"a": TREE, "b": TREE})
    assert_same(array_files.read(tmp_path, "tree", {"a": LIKE}, parts=True), {"a": TREE})
    assert "an array 'b.n'" in refused(tmp_path, {"a": LIKE})
    assert "an array 'a.n'" in refused(tmp_path, {"a": {"w": LIKE["w"]}}, parts=True)


HUGE = 10**11
WHOLE = {name: npy(array) for name, array in TREE.items()}
LIES = {
    "a huge array": {**WHOLE, "w": header((HUGE,))},
    "huge and empty": {**WHOLE, "w": header((0, HUGE, HUGE))},
    "a negative size": {**WHOLE, "w": header((-1, 3)) + bytes(24)},
    "huge elements": {**WHOLE, "w": header((2, 3), f"|V{10**9}")},
    "objects": {**WHOLE, "w": npy(np.array([[object()] * 3] * 2), None)[:128] + bytes(24)},
    "too little": {**WHOLE, "w": header((2, 3)) + bytes(20)},
    "too much": {**WHOLE, "w": header((2, 3)) + bytes(30)},
    "columns": {**WHOLE, "w": header((2, 3), by_columns=True) + bytes(24)},
    "a later version": {**WHOLE, "w": npy(TREE["w"], (2, 0))},
    "a long header": {**WHOLE, "w": b"\x93NUMPY\x02\x00" + struct.pack("<I", HUGE % 2**32)},
    "nothing": {**WHOLE, "w": b""},
    "a pickle": {**WHOLE, "w": b"cos\nsystem\n(S'true'\ntR."},
}


@pytest.mark.parametrize("shapes", [True, False])
@pytest.mark.parametrize("members", LIES.values(), ids=LIES)
def test_members_that_lie_are_refused(tmp_path, members, shapes):
    put(tmp_path, members)
    refused(tmp_path, shapes=shapes)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_inflated(tmp_path, method):
    put(tmp_path, {**WHOLE, "w": header((4096, 4096)) + bytes(4 * 4096 * 4096)}, method)
    assert "compressed" in refused(tmp_path, shapes=False)


def test_a_directory_that_lies_about_a_size_is_refused(tmp_path):
    start = header((2**28,))
    path = put(tmp_path, {**WHOLE, "w": start + bytes(24)})
    true, said = (struct.pack("<2I", size, size) for size in (len(start) + 24, 2**31))
    data = path.read_bytes()
    assert data.count(true) == 2  # before the member and in the directory
    path.write_bytes(data.replace(true, said))
    like = {**LIKE, "w": jax.ShapeDtypeStruct((2**28,), np.float32)}
    assert "larger than it is" in refused(tmp_path, like)


def test_a_directory_of_many_members_is_not_read(tmp_path):
    path = put(tmp_path, {"x" * 60_000 + str(i): b"" for i in range(200)})
    assert path.stat().st_size > 20 * MEBIBYTE
    assert "cannot be read: arrays/tree.npz" in refused(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x93NUMPY", bytes(100), npy(np.ones(3))])
def test_what_is_no_archive_is_refused(tmp_path, data):
    path = put(tmp_path, {})
    path.write_bytes(data)
    assert "cannot be read" in refused(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    assert "No such file" in refused(tmp_path)


def test_every_bit_counts(tmp_path):
    """Flipped bits are noticed even without a seal, by the checksums of the archive."""
    array_files.write(tmp_path, tree=TREE)
    path = tmp_path / "arrays" / "tree.npz"
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            # If nothing is wrong, it was a bit that nobody reads.
            assert_same(array_files.read(tmp_path, "tree", LIKE), TREE)
