"""Image files become pixels: every format, mode and orientation."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from farfield.errors import InputError
from farfield.tasks.decode import count_channels, pixels


def encoded(image, format="PNG", **options):
    file = BytesIO()
    image.save(file, format, **options)
    return ("a picture", file.getvalue())


def read(picture, size=4, channels=3):
    return pixels([picture], size=size, channels=channels)[0]


def test_pixels_come_back_as_they_were():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    for format in ("PNG", "BMP", "TIFF"):
        np.testing.assert_array_equal(read(encoded(Image.fromarray(values), format)), values.transpose(2, 0, 1))
    grey = values[:, :, 0]
    np.testing.assert_array_equal(read(encoded(Image.fromarray(grey)), channels=1), grey[None])
    np.testing.assert_array_equal(read(encoded(Image.fromarray(grey))), np.stack([grey] * 3))


def test_pictures_keep_their_order():
    batch = pixels([encoded(Image.new("L", (3, 5), i)) for i in range(50)], size=2, channels=1)
    assert batch.shape == (50, 1, 2, 2)
    np.testing.assert_array_equal(batch[:, 0, 0, 0], np.arange(50))


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "PNG"])
def test_resizing_keeps_places_and_colours(format):
    # Left half red, right half blue, much larger than asked for.
    values = np.zeros((400, 600, 3), dtype=np.uint8)
    values[:, :300, 0] = values[:, 300:, 2] = 250
    x = read(encoded(Image.fromarray(values), format), size=8).astype(int)
    assert x.shape == (3, 8, 8)
    for channel, columns in ((0, slice(0, 3)), (2, slice(5, 8))):
        assert np.abs(x[channel][:, columns] - 250).max() < 15
        assert np.abs(np.delete(x, channel, axis=0)[:, :, columns]).max() < 15


def test_photos_are_turned_upright():
    values = np.zeros((4, 4), dtype=np.uint8)
    values[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    x = read(encoded(Image.fromarray(values), exif=exif), channels=1)[0]
    np.testing.assert_array_equal(x[:, 3], [255] * 4)
    assert x[:, :3].max() == 0


def test_transparent_pixels_are_white():
    assert (read(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))) == 255).all()
    assert read(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 255))))[:, 0, 0].tolist() == [255, 0, 0]
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 200] * 256)
    assert read(encoded(palette))[:, 0, 0].tolist() == [0, 0, 200]
    assert (read(encoded(palette, transparency=0)) == 255).all()


def test_sixteen_bit_greyscale_is_scaled_not_clipped():
    values = np.array([[0, 256], [32768, 65535]], dtype=np.uint16)
    x = read(encoded(Image.fromarray(values)), size=2, channels=1)[0]
    np.testing.assert_array_equal(x, [[0, 1], [128, 255]])


def test_channels_are_one_only_where_all_are_grey():
    grey, color, bits = (encoded(Image.new(mode, (2, 2))) for mode in ("L", "RGB", "1"))
    assert count_channels([grey, bits]) == 1
    assert count_channels([grey, color]) == 3


def test_an_unreadable_picture_is_named(tmp_path):
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))[1]
    for content in (b"", b"GIF89a", whole[: len(whole) // 2]):
        path = tmp_path / "bad.png"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.png cannot be read as an image"):
            pixels([(str(path), path)], size=8, channels=3)
    with pytest.raises(InputError, match=r"gone\.png cannot be read"):
        count_channels([("gone.png", tmp_path / "gone.png")])
