import base64
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from innerloop.data import pictures
from innerloop.data.pictures import LONGEST_TEXT, MOST_PIXELS, THUMBNAIL, from_text, pixels, to_text
from innerloop.errors import ConfigError, DataError


def encoded(image, kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def solid(mode, colour, size=(10, 6)):
    return Image.new(mode, size, colour)


def png_that_claims(width, height) -> bytes:
    """Write a header of this size with next to nothing behind it."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_every_mode_of_png_becomes_the_channels_asked_for(mode, channels):
    image = solid("RGB", (255, 255, 255)).convert("RGBA" if mode == "LA" else "RGB").convert(mode)
    got = pixels(encoded(image), "a.png", size=4, channels=channels)
    assert got.shape == (channels, 4, 4)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert (got == 255).all()


def test_colours_keep_their_order():
    got = pixels(encoded(solid("RGB", (10, 20, 30))), "a.png", size=None, channels=3)
    assert got.shape == (3, 6, 10)
    assert [channel.min() for channel in got] == [channel.max() for channel in got] == [10, 20, 30]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_mode_of_jpeg_is_read(mode):
    got = pixels(encoded(solid("L", 128).convert(mode), "JPEG"), "a.jpg", size=5, channels=3)
    assert got.shape == (3, 5, 5)
    assert np.abs(got.astype(int) - 128).max() <= 3


def test_sixteen_bits_are_scaled_to_eight_not_clipped():
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    got = pixels(encoded(Image.fromarray(deep)), "a.png", size=None, channels=1)
    assert got[0, 0].tolist() == [0, 1, 128, 255]


def test_what_is_transparent_becomes_white():
    clear = encoded(solid("RGBA", (0, 0, 0, 0)))
    half = encoded(solid("RGBA", (0, 0, 0, 128)))
    indexed = solid("RGB", (0, 0, 0)).quantize(2)
    palette = encoded(indexed, transparency=indexed.getpixel((0, 0)))
    deep = encoded(Image.fromarray(np.full((2, 2), 700, np.uint16)), transparency=700)
    for content in (clear, palette, deep):
        assert (pixels(content, "a.png", size=2, channels=1) == 255).all()
    assert set(pixels(half, "a.png", size=2, channels=3).ravel().tolist()) == {127}


def test_centre_takes_the_middle_square_and_stretch_takes_all():
    image = np.zeros((8, 24), np.uint8)
    image[:, 8:16] = 255
    content = encoded(Image.fromarray(image))
    # The filter reaches a little over the edge, as it does where the cut comes last.
    assert pixels(content, "a.png", size=4, channels=1, crop="centre").min() > 200
    stretched = pixels(content, "a.png", size=6, channels=1, crop="stretch")
    assert stretched[0, :, 0].max() < 30
    assert stretched[0, :, 3].min() > 200


def test_a_cameras_orientation_mark_is_followed():
    image = solid("RGB", (0, 0, 0), (4, 2))
    image.putpixel((0, 0), (255, 255, 255))
    mark = Image.Exif()
    mark[0x0112] = 6  # turn by 90 degrees clockwise to show
    got = pixels(encoded(image, exif=mark), "a.png", size=None, channels=1)
    assert got.shape == (1, 4, 2)
    assert got[0, 0, 1] == 255


def test_an_orientation_mark_that_cannot_be_parsed_is_no_fault():
    content = encoded(solid("RGB", (9, 9, 9)), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert pixels(content, "a.png", size=3, channels=3).shape == (3, 3, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>not found</html>",
        encoded(Image.effect_noise((64, 64), 50))[:900],
        encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900],
        encoded(solid("L", 0), "GIF"),
        png_that_claims(50, 50),
    ],
    ids=["html", "half a png", "half a jpeg", "gif", "no pixels"],
)
def test_what_cannot_be_read_is_refused_by_name(content):
    with pytest.raises(
        DataError, match=r"readable PNG or JPEG image at 'cat/7\.png', got: .*; fetch it again"
    ) as caught:
        pixels(content, "cat/7.png", size=8, channels=3)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused_by_name():
    with pytest.raises(DataError, match=r"at 'cat/7\.png', got an empty file"):
        pixels(b"", "cat/7.png", size=8, channels=3)


@pytest.mark.parametrize("size", [(8001, 8000), (10_000, 10_000), (60_000, 60_000), (65_536, 1), (1, 65_536)])
def test_a_decompression_bomb_is_refused_before_decoding(size, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", None)
    with pytest.raises(DataError, match=rf"at most {MOST_PIXELS:,} pixels .* at 'bomb\.png'") as caught:
        pixels(png_that_claims(*size), "bomb.png", size=8, channels=3)
    assert "\n" not in str(caught.value)


def test_a_long_strip_is_cut_before_it_is_resized():
    content = encoded(solid("L", 7, (60_000, 1)))
    for crop in pictures.CROPS:
        assert (pixels(content, "a.png", size=84, channels=1, crop=crop) == 7).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0, "channels": 3}, r"image size from 1 to 1024 pixels, got 0"),
        ({"size": 9999, "channels": 3}, r"image size from 1 to 1024 pixels, got 9999"),
        ({"size": 8, "channels": 4}, r"1 channel \(grey\) or 3 \(colour\), got 4"),
        ({"size": 8, "channels": 3, "crop": "center"}, r"unknown crop 'center'.*Did you mean 'centre'"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        pixels(b"", "a.png", **options)


@pytest.mark.parametrize("size", [(57, 10), (8000, 8000)])
def test_a_kept_picture_that_is_larger_than_any_is_refused_before_it_is_decoded(size):
    out = io.BytesIO()
    Image.new("L", size).save(out, "PNG")
    tracemalloc.start()
    with pytest.raises(DataError, match="kept picture of at most 56 pixels a side"):
        from_text(base64.b64encode(out.getvalue()).decode())
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "*", "AAAA", base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n").decode()])
def test_what_is_no_kept_picture_is_one_line(text):
    with pytest.raises(DataError, match="kept picture") as caught:
        from_text(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 100, 80), (1, 57, 300), (3, 5, 56)])
def test_a_kept_picture_is_small_and_read_back(shape):
    kept = to_text(np.random.default_rng(0).random(shape))
    assert len(kept) < LONGEST_TEXT
    found = from_text(kept)
    assert found.shape[0] == shape[0]
    assert max(found.shape[1:]) == min(max(shape[1:]), THUMBNAIL)


def test_a_kept_picture_longer_than_any_is_not_decoded():
    words = PngInfo()
    words.add_text("words", "a" * LONGEST_TEXT)
    with pytest.raises(DataError, match="kept picture"):
        from_text(base64.b64encode(encoded(solid("L", 9), pnginfo=words)).decode())
    from_text(base64.b64encode(encoded(solid("L", 9))).decode())
