"""The affine adapter: what it computes, what it refuses, that files bring it back, and that ONNX runs the same."""

import builtins

import numpy as np
import pytest
import torch

from farfield.errors import InputError, MissingExtra
from farfield.measure._rows import mapped
from farfield.reuse import Adapter, ColumnProfile, load_adapter

RNG = np.random.default_rng(0)
WEIGHT = torch.from_numpy(RNG.normal(size=(6, 9)).astype("float32"))
BIAS = torch.from_numpy(RNG.normal(size=6).astype("float32"))
X = RNG.normal(size=(50, 9)).astype("float32")
UNITS = [(False, False), (True, False), (False, True), (True, True)]


def made(unit_inputs=False, unit_outputs=False, **more):
    return Adapter(WEIGHT, BIAS, (2, 6), unit_inputs=unit_inputs, unit_outputs=unit_outputs, **more)


def by_hand(x, unit_inputs, unit_outputs):
    x = x.astype("float64")
    if unit_inputs:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    y = x @ WEIGHT.double().numpy().T + BIAS.double().numpy()
    return y / np.linalg.norm(y, axis=1, keepdims=True) if unit_outputs else y


@pytest.mark.parametrize("units", UNITS)
def test_it_computes_what_it_says(units):
    np.testing.assert_allclose(made(*units)(X), by_hand(X, *units), atol=1e-5)


@pytest.mark.parametrize("units", UNITS)
def test_a_file_brings_it_back_with_all_it_says(units, tmp_path):
    first = made(
        *units, kind="shrink", model="a", target="b", profile=ColumnProfile.of(torch.from_numpy(X)), notes={"k": "v"}
    )
    first.save(tmp_path / "a.safetensors")
    again = load_adapter(tmp_path / "a.safetensors")
    for name in ("dims", "unit_inputs", "unit_outputs", "kind", "model", "target", "notes"):
        assert getattr(again, name) == getattr(first, name), name
    assert torch.equal(again.profile.mean, first.profile.mean) and torch.equal(again.profile.std, first.profile.std)
    assert np.array_equal(again(X), first(X))


@pytest.mark.parametrize("units", UNITS)
def test_onnx_gives_the_same(units, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    made(*units, model="mine").save_onnx(tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["vectors"], {"embeddings": X})
    np.testing.assert_allclose(found, made(*units)(X), atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["model"] == "mine"


def test_without_onnx_nothing_is_written(tmp_path, monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *a, **k: real("no_such_" + name if name == "onnx" else name, *a, **k)
    )
    with pytest.raises(MissingExtra, match=r"needs the package onnx.*farfield\[search\]"):
        made().save_onnx(tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_cut_is_the_prefix_brought_to_length_one():
    whole, cut = made(True, True)(X), made(True, True).cut(3)(X)
    prefix = whole[:, :3] / np.linalg.norm(whole[:, :3], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, prefix, atol=1e-5)
    assert made().cut(3).dims == (2, 3) and made().cut(2).dims == (2,)


def test_unit_inputs_do_not_see_length_even_where_squares_overflow():
    for scale in (1e-30, 1.0, 1e30):
        np.testing.assert_allclose(made(True)(X * np.float32(scale)), made(True)(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["float64", "float16", "int32"])
def test_a_file_is_written_in_pieces_equal_to_the_whole(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("farfield.reuse.adapter.PIECE", 63)  # seven rows at a time, and one at the end
    rows = torch.from_numpy((10 * X).astype(kind))
    done = []
    size = made(True, True).apply(rows, tmp_path / "o.npy", watch=done.append)
    found = np.load(tmp_path / "o.npy")
    np.testing.assert_allclose(found, made(True, True)(rows.double().numpy()), atol=1e-5)
    assert done == [7, 14, 21, 28, 35, 42, 49, 50] and size == (tmp_path / "o.npy").stat().st_size
    assert found.dtype == np.float32 and [p.name for p in tmp_path.iterdir()] == ["o.npy"]


def test_memory_mapped_input_is_streamed_in_bounded_memory(tmp_path):
    n, d = 300_000, 64
    file = tmp_path / "big.npy"
    rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(n, d))
    rows[:] = RNG.normal(size=d)
    rows.flush()
    del rows
    adapter = Adapter(torch.eye(d)[:8], torch.zeros(8), (8,))
    source = torch.from_numpy(np.load(file, mmap_mode="c"))

    def own():
        # Memory of the process itself: pages of a mapped file are the system's to take back.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

    adapter.apply(source[:20_000], tmp_path / "warm.npy")
    before, most = own(), []
    adapter.apply(source, tmp_path / "o.npy", watch=lambda done: most.append(own()))
    assert max(most) - before < 30_000  # kB; the file has 77,000
    assert np.array_equal(np.load(tmp_path / "o.npy")[-1], np.load(file, mmap_mode="r")[-1][:8])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda x: x[33].__setitem__(1, np.nan), "x.npy holds a value that is not finite, first in row 33"),
        (lambda x: x[33].__setitem__(1, np.inf), "x.npy holds a value that is not finite, first in row 33"),
        (lambda x: x[33].fill(0), "x.npy holds a row of zeros, which has no direction for cosine, first row 33"),
    ],
)
def test_bad_rows_leave_nothing_behind(spoil, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr("farfield.reuse.adapter.PIECE", 63)
    x = X.copy()
    spoil(x)
    with pytest.raises(InputError) as error:
        made(True).apply(torch.from_numpy(x), tmp_path / "o.npy", name="x.npy")
    assert str(error.value) == sentence and not list(tmp_path.iterdir())


def test_an_adapter_of_another_model_is_refused():
    rows = torch.from_numpy(X)
    with pytest.raises(InputError, match="x has 8 columns but the adapter was made for 9: it is of another model"):
        made().check(rows[:, :8], "x")
    with pytest.raises(InputError, match="made for embeddings of a, but x is said to hold those of b"):
        made(model="a").check(rows, "x", model="b")
    made(model="a").check(rows, "x", model="a")
    made(model="a").check(rows, "x")


def test_a_file_that_is_no_adapter_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.eye(2)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing of this kind")
    for name, sentence in {
        "a": "holds no adapter of farfield",
        "b": "cannot be read as safetensors",
        "c": "file not found",
    }.items():
        with pytest.raises(InputError, match=sentence):
            load_adapter(tmp_path / f"{name}.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match="weight has 6 rows but bias has 5"):
        Adapter(WEIGHT, BIAS[:5], (6,))
    for dims in [(), (6, 2), (2,), (0, 6), (2, 2, 6)]:
        with pytest.raises(InputError, match="expected sizes that rise up to 6"):
            Adapter(WEIGHT, BIAS, dims)
    with pytest.raises(InputError, match="weight holds a value that is not finite"):
        Adapter(WEIGHT * float("nan"), BIAS, (6,))
    with pytest.raises(InputError, match=r"results are written as \.npy"):
        made().apply(torch.from_numpy(X), tmp_path / "o.csv")
    with pytest.raises(InputError, match="7 is not from 1 to 6"):
        made().cut(7)


def test_its_safetensors_are_read_by_memory_mapping_too(tmp_path):
    made().save(tmp_path / "a.safetensors")
    assert torch.equal(mapped(tmp_path / "a.safetensors")["weight"], WEIGHT)
