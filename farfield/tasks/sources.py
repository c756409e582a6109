"""The real images that image tasks are made of: scikit-learn's digits, MNIST, CIFAR-10, Omniglot."""

import functools
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks import fetch
from farfield.tasks.split import duplicate_groups

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Source:
    """Labelled images, before any split.

    **Fields:**
    - ``images``: (n, channels, height, width), uint8 as published, or float32 in [0, 1].
    - ``labels``: (n,) int64; ``classes``: their names.
    - ``official_test``: (n,) bool, the images of the published test set; all False where there is none.
    - ``groups``: (n,) int64, one number for images that are equal in every pixel.
    - ``notes``: sentences on licence and origin that the user must see.
    - ``fingerprint``: SHA-256 of images and labels.
    """

    images: Tensor
    labels: np.ndarray
    classes: tuple[str, ...]
    official_test: np.ndarray
    groups: np.ndarray
    notes: tuple[str, ...]
    fingerprint: str


@functools.lru_cache(maxsize=3)
def load_source(name: str, rows: int | None = None) -> Source:
    """Return the images of this name: digits, mnist, mnist-full, cifar10 or omniglot.

    **Arguments:** ``rows`` keeps that many images, drawn once for all (by no task's seed) from the training and the
    official test images in their proportion.

    Raises InputError on an unknown name, on ``rows`` below 100 or above what there is, and where the data cannot be had.

    >>> load_source("digits").images.shape
    torch.Size([1797, 1, 8, 8])
    """
    if name not in SOURCES:
        raise unknown_name("image data set", name, SOURCES)
    images, labels, classes, official_test, notes = SOURCES[name]()
    if rows is not None:
        if not 100 <= rows <= len(labels):
            raise InputError(f"rows is {rows}; {name} takes from 100 to {len(labels)}")
        order = np.random.default_rng(0).permutation(len(labels))
        n_test = round(rows * official_test.mean())
        test, rest = order[official_test[order]][:n_test], order[~official_test[order]][: rows - n_test]
        kept = np.sort(np.concatenate([rest, test]))
        images, labels, official_test = images[kept], labels[kept], official_test[kept]
    digest = hashlib.sha256(np.ascontiguousarray(images))
    digest.update(labels)
    return Source(
        torch.from_numpy(images),
        labels,
        classes,
        official_test,
        duplicate_groups(images),
        notes,
        digest.hexdigest(),
    )


def area_average(images: Tensor, height: int, width: int) -> Tensor:
    """Reduce images (n, channels, h, w) to height x width; each new pixel is the exact mean of the area that it covers.

    >>> area_average(torch.tensor([[[[0.0, 1.0, 1.0]]]]), 1, 2)
    tensor([[[[0.3333, 1.0000]]]])
    """
    return _overlap(images.shape[2], height) @ images @ _overlap(images.shape[3], width).T


def _overlap(old: int, new: int) -> Tensor:
    """Return (new, old): which share of a new pixel each old pixel is."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixel = torch.arange(old, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (covered.clamp(min=0) * new / old).float()


# Each reader returns images, labels, class names, which are official test images, and notes.
_Read = tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray, tuple[str, ...]]


def _digits() -> _Read:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)  # counts 0..16 of a 4x4 block's pixels
    return images, data.target.astype(np.int64), _DIGITS, np.zeros(len(images), dtype=bool), ()


_DIGITS = tuple(str(i) for i in range(10))


def _mnist() -> _Read:
    folder = fetch.path("mnist-10k")
    images, labels = (_read_idx(folder / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    return images[:, None], labels.astype(np.int64), _DIGITS, np.zeros(len(labels), bool), fetch.notices("mnist-10k")


def _mnist_full() -> _Read:
    folder = fetch.path("mnist-60k")
    images, labels = (_read_idx(folder / f"train-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    test_images, test_labels, classes, _, notes = _mnist()
    return (
        np.concatenate([images[:, None], test_images]),
        np.concatenate([labels.astype(np.int64), test_labels]),
        classes,
        np.arange(len(labels) + len(test_labels)) >= len(labels),
        notes,
    )


def _read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes, the format of MNIST: 0 0 8 rank, big-endian sizes, values."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}); remove it, or provide it again") from error
    rank = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(content, ">i4", rank, 4) if len(content) >= 4 + 4 * rank else np.zeros(0)
    if rank == 0 or len(content) != 4 + 4 * rank + int(np.prod(shape)):
        raise InputError(f"{path} is not an IDX file of bytes, the format of MNIST; remove it, or provide it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def _cifar10() -> _Read:
    original, resaved = (fetch.find(fetch.card(name)) for name in ("cifar10", "cifar10-jpeg"))
    if resaved and not original:
        parts = [_read_jpegs(resaved / f"{part}.parquet") for part in ("train", "test")]
        notes = (
            "These CIFAR-10 images are a lossy JPEG copy, 20,000 of the 50,000 training images: not the published pixels.",
        )
    else:
        archive = (original or fetch.path("cifar10")) / "cifar-10-binary.tar.gz"
        parts, notes = _read_cifar10(archive), ()
    images, labels = (np.concatenate(column) for column in zip(*parts))
    return images, labels, CIFAR10_CLASSES, np.arange(len(labels)) >= len(parts[0][1]), notes


def _read_cifar10(archive: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read the binary version: records of one label byte and 3 x 32 x 32 image bytes, five files and a test file."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.endswith(".bin"):
                    files[Path(member.name).name] = tar.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive} cannot be read ({error}); remove it, or provide it again") from error
    expected = {*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"}
    if set(files) != expected or any(len(content) % 3073 for content in files.values()):
        raise InputError(f"{archive} does not hold the six files of CIFAR-10's binary version")
    train = b"".join(files[name] for name in sorted(expected - {"test_batch.bin"}))
    parts = []
    for content in (train, files["test_batch.bin"]):
        records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
        parts.append((records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)))
    return parts


def _read_jpegs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow.parquet
    from PIL import Image

    table = pyarrow.parquet.read_table(path, columns=["image", "label"])
    images = np.stack([np.asarray(Image.open(io.BytesIO(i)).convert("RGB")) for i in table["image"].to_pylist()])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), table["label"].to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Drawings:
    """The drawings of Omniglot's two small background sets: 242 characters of 8 alphabets, each drawn by 20 people.

    **Fields:** ``images`` (4840, 1, size, size) float32, ink is 1; ``character``, ``alphabet`` (n,) int64 indices into
    ``characters`` (written "Greek/character01") and ``alphabets``; ``drawing`` (n,) 1 to 20: the number of the drawing, the
    same person within an alphabet.
    """

    images: np.ndarray
    character: np.ndarray
    alphabet: np.ndarray
    drawing: np.ndarray
    characters: tuple[str, ...]
    alphabets: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def drawings(size: int = 28) -> Drawings:
    """Return Omniglot's drawings, read straight from the two zip files and reduced from 105x105 to ``size`` by area.

    Raises InputError where a zip file is damaged or the data cannot be had.
    """
    from PIL import Image

    folder = fetch.path("omniglot-small")
    # Two alphabets, Greek and Latin, lie in both zip files: a drawing is known by its path, and kept once.
    pixels: dict[tuple[str, str, int], np.ndarray] = {}
    for file in fetch.card("omniglot-small").files:
        try:
            with zipfile.ZipFile(folder / file) as archive:
                for member in archive.namelist():
                    if member.endswith(".png"):
                        _, alphabet, character, picture = member.split("/")
                        key = alphabet, f"{alphabet}/{character}", int(Path(picture).stem.rpartition("_")[2])
                        pixels[key] = np.asarray(Image.open(io.BytesIO(archive.read(member))).convert("1"))
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{folder / file} cannot be read ({error}); remove it, or provide it again") from error
    keys = sorted(pixels)
    ink = torch.from_numpy(~np.stack([pixels[k] for k in keys])).float().unsqueeze(1)
    alphabets, characters = (tuple(sorted({k[i] for k in keys})) for i in (0, 1))
    return Drawings(
        area_average(ink, size, size).clamp_(0, 1).numpy(),
        np.array([characters.index(k[1]) for k in keys]),
        np.array([alphabets.index(k[0]) for k in keys]),
        np.array([k[2] for k in keys]),
        characters,
        alphabets,
    )


def _omniglot() -> _Read:
    d = drawings()
    return d.images, d.character, d.characters, np.zeros(len(d.character), dtype=bool), ()


SOURCES: dict[str, Callable[[], _Read]] = {
    "digits": _digits,
    "mnist": _mnist,
    "mnist-full": _mnist_full,
    "cifar10": _cifar10,
    "omniglot": _omniglot,
}
