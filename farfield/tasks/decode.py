"""Image files become arrays of pixels."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from farfield.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")

# How an error names a picture, and the file or the bytes of it.
Picture = tuple[str, Path | bytes]


def count_channels(pictures: Sequence[Picture]) -> int:
    """Return 1 where all pictures are greyscale, else 3; reads their headers only.

    Raises InputError on a picture that cannot be read, naming it.
    """
    for picture in pictures:
        with _opened(picture) as image:
            if image.mode not in GREY:
                return 3
    return 1


def pixels(pictures: Sequence[Picture], *, size: int, channels: int) -> np.ndarray:
    """Return pictures as uint8 (n, channels, size, size).

    Each is turned upright (EXIF), stretched to a square with antialiasing, laid on white where it is transparent, and
    16-bit greyscale is scaled to 8 bit. Of an animation the first frame is taken.

    **Arguments:** ``size`` in pixels, at least 1; ``channels`` 1 (greyscale) or 3 (RGB).

    Raises InputError on a picture that cannot be read, naming it.

    >>> pixels([("broken", b"no picture")], size=8, channels=3)
    Traceback (most recent call last):
    farfield.errors.InputError: broken cannot be read as an image
    """
    result = np.empty((len(pictures), channels, size, size), dtype=np.uint8)

    def fill(i: int) -> None:
        result[i] = _pixels_of(pictures[i], size, channels)

    # Decoding runs outside Python's lock; as many threads as torch was given.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(fill, range(len(pictures))):
            pass
    return result


def _pixels_of(picture: Picture, size: int, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    with _opened(picture) as image:
        # A large JPEG is decoded at a fraction of its size, still at least twice what is asked.
        image.draft(None, (2 * size, 2 * size))
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            wide = np.asarray(image).astype(np.int64)
            image = Image.fromarray((wide >> 8 if wide.max() > 255 else wide).clip(0, 255).astype(np.uint8))
        if "A" in image.mode or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        image = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)


@contextmanager
def _opened(picture: Picture) -> "Iterator[PIL.Image.Image]":
    """Open a picture; whatever goes wrong while it is open names it."""
    from PIL import Image, UnidentifiedImageError

    label, content = picture
    try:
        with Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image:
            yield image
    except UnidentifiedImageError as error:
        raise InputError(f"{label} cannot be read as an image") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow reports damaged files by all of these.
        raise InputError(f"{label} cannot be read as an image: {error}") from error
