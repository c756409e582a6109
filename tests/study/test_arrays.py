"""Results come back as they went: every value, shape and type; what cannot be kept is named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farfield.errors import InputError
from farfield.study.arrays import ArrayFolder, StoredArray, decode, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "$array"), plain))
def test_plain_data_comes_back_equal(result):
    kept = encode(result)
    assert kept.arrays is None
    assert decode(kept.text, None) == result


@given(
    hnp.arrays(
        st.sampled_from(["bool", "int8", "uint16", "int64", ">i4", "float16", "float32", ">f8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.booleans(),
)
def test_arrays_come_back_equal_in_shape_type_and_values(tmp_path_factory, array, transposed):
    array = array.T if transposed else array
    folder = ArrayFolder(str(tmp_path_factory.mktemp("arrays")))
    kept = encode({"a": {"b": array}})
    found = decode(kept.text, folder.resolve(folder.write("key", kept.arrays)))["a"]["b"]
    assert found.shape == array.shape
    back = found.load()
    assert back.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, array)


def test_names_that_look_alike_do_not_meet(tmp_path):
    result = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, "a~1b": np.full(1, 2.0), "list": [np.full(1, 3.0)]}
    kept = encode(result)
    found = decode(kept.text, ArrayFolder(str(tmp_path)).write("key", kept.arrays))
    assert [found["a/b"].load(), found["a"]["b"].load(), found["a~1b"].load(), found["list"][0].load()] == [0, 1, 2, 3]


def test_numpy_scalars_and_tuples_become_plain():
    kept = encode({"f": np.float32(0.5), "i": np.int64(3), "b": np.bool_(True), "t": (1, 2), "n": {1: "one"}})
    assert json.loads(kept.text) == {"f": 0.5, "i": 3, "b": True, "t": [1, 2], "n": {"1": "one"}}


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ([1], "it is a list, and a trial must return a dict"),
        ({"a": [0.5, float("inf")]}, "a.1 is inf"),
        ({"a": np.float32("nan")}, "a is nan"),
        ({"a": {"b": object()}}, "a.b is a builtins.object"),
        ({"a": {(1, 2): 3}}, "a has the key"),
        ({"a": np.array(["x"])}, "a is an array of <U1"),
        ({"a": np.zeros(1, complex)}, "a is an array of complex128"),
        ({"a": np.array([{}])}, "a is an array of object"),
        ({"a": {"$array": 1}}, "a name that the store uses"),
    ],
)
def test_what_cannot_be_kept_is_named(result, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence.replace("$", r"\$")):
        encode(result)


def test_files_move_together_with_their_store(tmp_path):
    old = tmp_path / "old"
    kept = encode({"a": np.arange(3)})
    name = ArrayFolder(str(old / "trials.arrays"), base=old).write("key", kept.arrays)
    old.rename(tmp_path / "new")
    moved = ArrayFolder(str(tmp_path / "new" / "trials.arrays"), base=tmp_path / "new")
    assert np.asarray(decode(kept.text, moved.resolve(name))["a"]).tolist() == [0, 1, 2]
    moved.remove(name)
    with pytest.raises(InputError, match="which is missing"):
        decode(kept.text, moved.resolve(name))["a"].load()


def test_a_url_of_another_file_system():
    kept = encode({"a": np.arange(4.0).reshape(2, 2), "b": np.arange(3)})
    folder = ArrayFolder("memory://bucket/runs")
    location = folder.write("key", kept.arrays)
    assert location.startswith("memory://bucket/runs/ke/key.")
    found = decode(kept.text, folder.resolve(location))
    assert np.asarray(found["a"], dtype="float32").tolist() == [[0, 1], [2, 3]]
    assert len(found["b"]) == 3
    folder.remove(location)
    with pytest.raises(InputError, match="missing"):
        found["b"].load()
    with pytest.raises(InputError, match="cannot be reached"):
        StoredArray("nosuch://bucket/a", "a", (1,), "int64").load()


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    folder = ArrayFolder(str(tmp_path))
    # A folder stands where the file is to go, so the last step, the renaming, fails.
    monkeypatch.setattr("uuid.uuid4", lambda: type("U", (), {"hex": "0" * 32}))
    (tmp_path / "ke" / "key.00000000.safetensors" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="key"):
        folder.write("key", b"content")
    assert [p.name for p in (tmp_path / "ke").iterdir()] == ["key.00000000.safetensors"]
