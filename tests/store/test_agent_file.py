"""One-file agents: what goes in comes out, and hostile files end in one sentence."""

import json
import struct
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from structlat_jax.store import agent_file, array_files
from structlat_jax.store.run_folder import CheckpointError, WriteError

ABOUT = {"latent": "dir:2x4,gau:2", "horizon": 20, "lr": 1e-3, "options": {"radius": None}}
TREE = {
    "policy": {"params": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T}},
    "scalar": jnp.float32(2.5),
    "count": np.array(3),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
    "brief": jnp.arange(3, dtype=jnp.bfloat16),
    "reversed": np.arange(5, dtype=np.int32)[::-1],
}


def said(about=ABOUT, version=agent_file.AGENT_SCHEMA):
    return json.dumps({"schema_version": version, "about": about})


def by_hand(header, data=b"", length=None):
    """The bytes of a file that says what it likes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one_array(dtype="F32", shape=(1,), offsets=(0, 4), text=None):
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}
    return {"__metadata__": {"structlat_jax": said() if text is None else text}, "w": entry}


def refused(path):
    """Why; in a sentence, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            agent_file.read(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be read: ")
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 300 + len(str(path))
    return text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent[lr=0.001].safetensors"


def test_what_is_written_is_read(path):
    agent_file.write(path, TREE, ABOUT)
    found, about = agent_file.read(path)
    assert about == ABOUT
    wanted = array_files.named(TREE)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape  # scalars have none
        np.testing.assert_array_equal(found[name], array)
    back = array_files.fitted(path, found, TREE)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_other_programs_read_it(path):
    agent_file.write(path, {"w": np.ones(2)}, ABOUT)
    assert safetensors.numpy.load_file(path)["w"].tolist() == [1.0, 1.0]


def test_equal_agents_are_equal_files(path):
    agent_file.write(path, TREE, ABOUT)
    before = path.read_bytes()
    agent_file.write(path, TREE, ABOUT)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("tree", "about"),
    [
        ({"x": np.array([object()])}, {}),
        ({"x": np.array("text")}, {}),
        ({"x": jax.random.key(0)}, {}),
        ({"a.b": 1.0, "a": {"b": 2.0}}, {}),
        ({"x" * 2**20: np.ones(1)}, {}),
        ({}, {"x": float("nan")}),
        ({}, {"x": object()}),
    ],
    ids=["objects", "text", "key", "one name twice", "long name", "not finite", "no JSON"],
)
def test_what_cannot_be_written_leaves_what_was_there(path, tree, about):
    agent_file.write(path, TREE, ABOUT)
    with pytest.raises(WriteError) as caught:
        agent_file.write(path, tree, about)
    assert str(caught.value).startswith(f"{path} cannot be written: ")
    assert str(caught.value).endswith(".")
    assert agent_file.read(path)[1] == ABOUT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(WriteError, match="cannot be written: No such file or directory"):
        agent_file.write(tmp_path / "absent" / "agent", TREE, ABOUT)
    assert "No such file" in refused(tmp_path / "absent")
    assert "directory" in refused(tmp_path)


HUGE = 2**50
HOSTILE = {
    "nothing": b"",
    "a few bytes": b"PK\x03\x04",
    "a huge header": by_hand(b"{}", length=2**63),
    "a long header": by_hand(b" " * (2**20 + 1)),
    "a header longer than the file": by_hand(b"{}", length=1000),
    "no JSON": by_hand(b"import os"),
    "brackets": by_hand(b"[" * 2**19),
    "not an object": by_hand([1]),
    "no text": by_hand(b"\xff" * 100),
    "of another program": by_hand({"__metadata__": {"format": "pt"}}),
    "without metadata": by_hand({}),
    "metadata of another kind": by_hand({"__metadata__": {"structlat_jax": 3}}),
    "an unknown type": by_hand(one_array("F4096"), bytes(4)),
    "a type for which there are no arrays": by_hand(one_array("F8_E8M0", offsets=(0, 1)), b"0"),
    "a type of other length": by_hand(one_array("F64"), bytes(4)),
    "a shape that is larger": by_hand(one_array(shape=(2,)), bytes(4)),
    "a shape that overflows": by_hand(one_array(shape=(2**33, 2**33)), bytes(4)),
    "a negative shape": by_hand(one_array(shape=(-1,)), bytes(4)),
    "offsets past the end": by_hand(one_array(shape=(HUGE,), offsets=(0, 4 * HUGE)), bytes(4)),
    "offsets backwards": by_hand(one_array(offsets=(4, 0)), bytes(4)),
    "bytes that nobody owns": by_hand(one_array(), bytes(400)),
    "cut off": by_hand(one_array(), bytes(3)),
    "about no object": by_hand(one_array(text=said([1])), bytes(4)),
    "about nothing": by_hand(one_array(text="{}"), bytes(4)),
    "another version": by_hand(one_array(text=said(version=2)), bytes(4)),
    "a number that is none": by_hand(one_array(text=said({"x": float("nan")})), bytes(4)),
    "infinity": by_hand(one_array(text=said({"x": float("-inf")})), bytes(4)),
    "a number too large": by_hand(one_array(text=said().replace("20", "1e999")), bytes(4)),
    "a number too long": by_hand(one_array(text=said().replace("20", "9" * 5000)), bytes(4)),
    "brackets within": by_hand(one_array(text="[" * 100_000), bytes(4)),
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_in_a_sentence(path, data):
    path.write_bytes(data)
    refused(path)


def test_a_file_of_many_gigabytes_is_not_read(path):
    size = 2**36
    path.write_bytes(by_hand(one_array(shape=(size // 4,), offsets=(0, size))))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)  # a hole, which takes no room on the disk
    assert "larger than one may be" in refused(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "agent"
    agent_file.write(path, TREE, ABOUT)
    return path.read_bytes(), path.with_name("damaged")


@given(st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_damaged_files_end_in_a_sentence(whole, place, byte, length):
    """Or in other numbers: there is no checksum in this format."""
    data, path = whole
    damaged = bytearray(data)
    damaged[place % min(len(data), 1200)] = byte
    path.write_bytes(damaged[: len(data) - length % 4 * (length % 50)])
    error = None
    try:
        found, about = agent_file.read(path)
    except CheckpointError as caught:
        error = str(caught)
    if error is None:
        assert isinstance(about, dict)
        assert sum(array.nbytes for array in found.values()) <= len(data)
    else:
        assert error.endswith(".")
        assert "\n" not in error
