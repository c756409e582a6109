import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from farfield.errors import InputError
from farfield.tasks import fetch
from farfield.tasks.sources import area_average, drawings, load_source

REAL = Path(os.environ.get("FARFIELD_DATA", ""))


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """A $FARFIELD_DATA of the test's own; what was read before is forgotten, and again afterwards."""
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_source.cache_clear()
    drawings.cache_clear()
    yield tmp_path / "data"
    load_source.cache_clear()
    drawings.cache_clear()


def copy_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=1))


def write_cifar10(folder: Path, images: np.ndarray, labels: np.ndarray, names: list[str]) -> None:
    """Write the archive of the binary version, an equal share of the records into each named file."""
    folder.mkdir(parents=True)
    records = np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1).astype(np.uint8)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, part in zip(names, np.split(records, len(names))):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = part.nbytes
            tar.addfile(info, io.BytesIO(part.tobytes()))


CIFAR10_FILES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


def test_digits_are_scikit_learns():
    source, published = load_source("digits"), load_digits()
    assert np.array_equal(source.images.numpy()[:, 0] * 16, published.images)
    assert np.array_equal(source.labels, published.target)
    assert not source.official_test.any()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_area_average_keeps_the_mean_and_constants(old, new, channels, seed):
    images = torch.rand(2, channels, old, old + 1, generator=torch.Generator().manual_seed(seed))
    reduced = area_average(images, new, new)
    assert reduced.shape == (2, channels, new, new)
    assert torch.allclose(reduced.mean((2, 3)), images.mean((2, 3)), atol=1e-5)
    assert torch.allclose(area_average(torch.ones_like(images), new, new), torch.ones(1), atol=1e-5)


def test_area_average_of_whole_blocks_is_their_mean():
    images = torch.rand(3, 2, 12, 20, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(area_average(images, 3, 5), torch.nn.functional.avg_pool2d(images, 4), atol=1e-6)


def test_area_average_shares_a_split_pixel():
    # 5 pixels onto 2: the third is shared by halves.
    row = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).view(1, 1, 1, 5)
    assert area_average(row, 1, 2).flatten().tolist() == pytest.approx([(1 + 2 + 1.5) / 2.5, (1.5 + 4 + 5) / 2.5])


@pytest.mark.needs_data("mnist-10k")
def test_mnist_is_the_published_test_set():
    source = load_source("mnist")
    assert source.images.shape == (10_000, 1, 28, 28)
    assert source.images.dtype == torch.uint8
    assert source.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(source.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert "CC BY-SA" in source.notes[0]


@pytest.mark.needs_data("mnist-10k")
def test_rows_are_drawn_once_for_all():
    few, all_rows = load_source("mnist", 500), load_source("mnist")
    load_source.cache_clear()
    again = load_source("mnist", 500)
    assert few.fingerprint == again.fingerprint != all_rows.fingerprint
    assert len(few.images) == len(few.labels) == 500
    assert len(np.unique(few.labels)) == 10
    pixels = {image.tobytes() for image in all_rows.images.numpy()}
    assert all(image.tobytes() in pixels for image in few.images.numpy())


@pytest.mark.needs_data("mnist-10k")
def test_mnist_full_puts_the_training_files_before_the_official_test(own_data):
    copy_files(REAL / "mnist-10k", own_data / "mnist-10k")
    images, labels = load_source("mnist").images.numpy()[:, 0], load_source("mnist").labels.astype(np.uint8)
    # Real digits in the files' format: 300 stand for the training images, 200 for the test images.
    write_idx(own_data / "mnist-60k" / "train-images-idx3-ubyte.gz", images[:300])
    write_idx(own_data / "mnist-60k" / "train-labels-idx1-ubyte.gz", labels[:300])
    write_idx(own_data / "mnist-10k" / "t10k-images-idx3-ubyte.gz", images[300:500])
    write_idx(own_data / "mnist-10k" / "t10k-labels-idx1-ubyte.gz", labels[300:500])
    source = load_source("mnist-full")
    assert np.array_equal(source.images.numpy()[:, 0], images[:500])
    assert np.array_equal(source.labels, labels[:500])
    assert source.official_test.tolist() == [False] * 300 + [True] * 200
    half = load_source("mnist-full", 250)
    assert half.official_test.sum() == 100
    assert len(half.labels) == 250


@pytest.mark.parametrize("damage", ["half a gzip file", "another format", "too short"])
def test_a_damaged_idx_file_is_named(own_data, damage):
    path = own_data / "mnist-10k" / "t10k-images-idx3-ubyte.gz"
    write_idx(path, np.zeros((5, 28, 28), np.uint8))
    write_idx(own_data / "mnist-10k" / "t10k-labels-idx1-ubyte.gz", np.zeros(5, np.uint8))
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(
        {
            "half a gzip file": path.read_bytes()[:-9],
            "another format": gzip.compress(b"hello"),
            "too short": gzip.compress(content[:-1]),
        }[damage]
    )
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz is not"):
        load_source("mnist")


def test_cifar10_binary_is_read_in_the_published_order(own_data):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (120, 3, 32, 32), np.uint8), rng.integers(0, 10, 120)
    write_cifar10(own_data / "cifar10", images, labels, CIFAR10_FILES)
    source = load_source("cifar10")
    assert np.array_equal(source.images.numpy(), images)
    assert np.array_equal(source.labels, labels)
    assert source.official_test.tolist() == [False] * 100 + [True] * 20
    assert source.notes == ()


@pytest.mark.parametrize("names", [CIFAR10_FILES[:5], ["batches.meta.bin", *CIFAR10_FILES[1:]]], ids=["five", "other"])
def test_an_incomplete_cifar10_is_refused(own_data, names):
    write_cifar10(own_data / "cifar10", np.zeros((30, 3, 32, 32)), np.zeros(30), names)
    with pytest.raises(InputError, match="does not hold the six files"):
        load_source("cifar10")


def test_a_damaged_cifar10_is_named(own_data):
    write_cifar10(own_data / "cifar10", np.zeros((60, 3, 32, 32)), np.zeros(60), CIFAR10_FILES)
    archive = own_data / "cifar10" / "cifar-10-binary.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.gz cannot be read"):
        load_source("cifar10")


@pytest.mark.needs_data("cifar10-jpeg")
def test_the_lossy_cifar10_says_so_and_gives_way_to_the_original(own_data):
    copy_files(REAL / "cifar10-jpeg", own_data / "cifar10-jpeg")
    source = load_source("cifar10", 2000)
    assert source.images.shape == (2000, 3, 32, 32)
    assert "lossy" in source.notes[0]
    assert np.bincount(source.labels, minlength=10).min() > 150
    # Neighbouring pixels of a photograph are alike: rows, columns and channels are in their places.
    x = source.images.float()
    assert float((x[..., 1:] - x[..., :-1]).abs().mean()) < 0.5 * float((x - x.flip(0)).abs().mean())
    blue_sky = x[source.labels == 0].mean((0, 2, 3))
    assert blue_sky[2] > blue_sky[0]

    load_source.cache_clear()
    write_cifar10(own_data / "cifar10", np.zeros((120, 3, 32, 32)), np.zeros(120), CIFAR10_FILES)
    assert load_source("cifar10").notes == ()


@pytest.mark.needs_data("omniglot-small")
def test_omniglot_has_every_drawing_once():
    d = drawings()
    assert d.images.shape == (4840, 1, 28, 28)
    assert len(d.characters) == 242
    assert d.alphabets == (
        "Balinese", "Early_Aramaic", "Greek", "Japanese_(katakana)", "Korean", "Latin", "Sanskrit", "Tagalog",
    )  # fmt: skip
    assert len({*zip(d.character.tolist(), d.drawing.tolist())}) == 4840
    assert np.array_equal(np.unique(d.drawing), np.arange(1, 21))
    assert all(d.characters[c].startswith(d.alphabets[a]) for c, a in zip(d.character, d.alphabet))
    # Thin strokes on empty paper: ink is 1.
    assert 0.03 < d.images.mean() < 0.2
    assert np.median(d.images) == 0


def test_a_damaged_omniglot_is_named(own_data):
    for file in fetch.card("omniglot-small").files:
        (own_data / "omniglot-small").mkdir(parents=True, exist_ok=True)
        (own_data / "omniglot-small" / file).write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"images_background_small1\.zip cannot be read"):
        load_source("omniglot")


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("mnits", None, "unknown image data set 'mnits'; nearest: mnist"),
        ("digits", 99, "rows is 99; digits takes from 100 to 1797"),
        ("digits", 1798, "rows is 1798"),
    ],
)
def test_bad_input_is_named(name, rows, says):
    with pytest.raises(InputError, match=says):
        load_source(name, rows)
