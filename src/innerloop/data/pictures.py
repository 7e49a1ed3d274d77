"""From the bytes of a PNG or JPEG file to pixels of one shape."""

import base64
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from innerloop.data.archives import one_line
from innerloop.errors import ConfigError, DataError, unknown_name

SUFFIXES = (".png", ".jpg", ".jpeg")
CROPS = ("centre", "stretch")
LARGEST_SIZE = 1024
MOST_PIXELS = 64_000_000  # a quarter of a gigabyte once decoded
LONGEST_SIDE = 65_535  # JPEG's own limit; a strip of millions by one would grow when it is resized


THUMBNAIL = 56  # pixels a side at most, of a picture kept as text
LONGEST_TEXT = 100_000  # letters of such a picture; the largest, of noise in colour, has 13 thousand


def to_text(image: NDArray[np.floating]) -> str:
    """Return a small picture as base64 PNG; nothing where the example is no picture.

    Args:
        image: [channel height width] in [0, 1], grey or colour; anything else is no picture.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3) or min(image.shape) < 1:
        return ""
    levels = (image.clip(0, 1) * 255).round().astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(text: str) -> NDArray[np.floating]:
    """Return the picture that `to_text` wrote, [channel height width] in [0, 1].

    Raises:
        DataError: It is none, or a larger one.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text[:LONGEST_TEXT], validate=True)), formats=["PNG"]) as picture:
            if max(picture.size) > THUMBNAIL or picture.mode not in ("L", "RGB"):
                raise ValueError(f"{picture.width} by {picture.height} pixels of mode {picture.mode}")
            levels = np.asarray(picture, np.float32) / 255
    except Exception as error:  # Pillow lets through whatever its decoders raise
        raise DataError(
            f"expected a kept picture of at most {THUMBNAIL} pixels a side, got: {one_line(error)}; explain the run "
            "again"
        ) from error
    return levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)


def check_options(size: int | None, channels: int, crop: str) -> None:
    """Refuse what `pixels` cannot make.

    Raises:
        ConfigError: An unknown crop, or a size or number of channels outside what it may be.
    """
    if crop not in CROPS:
        raise unknown_name("crop", crop, CROPS)
    if channels not in (1, 3):
        raise ConfigError(f"expected 1 channel (grey) or 3 (colour), got {channels}; set channels to 1 or 3")
    if size is not None and not 1 <= size <= LARGEST_SIZE:
        raise ConfigError(f"expected an image size from 1 to {LARGEST_SIZE} pixels, got {size}; set size within it")


def pixels(content: bytes, where: str, *, size: int | None, channels: int, crop: str = "centre") -> NDArray[np.uint8]:
    """Decode a PNG or JPEG image of any size and mode.

    A camera's orientation mark is followed, what is transparent becomes white, 16 bits become 8.

    Args:
        content: The file's bytes.
        where: The file's name, for errors.
        size: Height and width to make, in pixels; None keeps the image's own.
        channels: 1 for grey (ITU-R 601 luma), 3 for red, green, blue.
        crop: `centre` takes the largest square in the middle, `stretch` the whole image, aspect lost.

    Returns:
        uint8, [channel height width].

    Raises:
        DataError: Not a readable PNG or JPEG image, or more than 64 million pixels; said before decoding.
        ConfigError: See `check_options`.
    """
    check_options(size, channels, crop)
    if not content:
        raise DataError(f"expected a PNG or JPEG image at '{where}', got an empty file; fetch it again or remove it")
    try:
        with opened(content, ["PNG", "JPEG"], where) as image:
            image.load()
            with suppress(Exception):  # a mark that cannot be parsed is no mark
                ImageOps.exif_transpose(image, in_place=True)
            flat = _flat(image, channels)
    except DataError:
        raise
    except Exception as error:  # Pillow lets through whatever its decoders raise
        raise DataError(
            f"expected a readable PNG or JPEG image at '{where}', got: {one_line(error)}; fetch it again or remove it"
        ) from error
    if size is not None:
        flat = flat.resize((size, size), Image.Resampling.LANCZOS, box=_box(flat, crop))
    array = np.asarray(flat, np.uint8).reshape(flat.height, flat.width, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


@contextmanager
def opened(content: bytes, formats: Sequence[str], where: str) -> Iterator[Image.Image]:
    """Open an image of one of these formats, not yet decoded, whose size is known to be what can be.

    Raises:
        DataError: It is larger. Pillow raises what it likes for what is no image.
    """
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, which is no concern here, and of bombs, which the cap below refuses.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=tuple(formats))
        except Image.DecompressionBombError as error:
            raise DataError(_too_large(where, "far more")) from error
        with image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST_SIDE:
                raise DataError(_too_large(where, f"{image.width:,} by {image.height:,}"))
            yield image


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """Return the image as 8-bit grey or colour, without transparency."""
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey where it should scale, so it is done here: the high byte, as Pillow does for colour.
        deep = np.asarray(image)
        grey = np.where(deep == image.info.get("transparency", -1), 255, deep >> 8)
        image = Image.fromarray(grey.astype(np.uint8))
    elif image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB" if channels == 3 else "L")


def _box(image: Image.Image, crop: str) -> tuple[float, float, float, float]:
    """Return the part that is resized; resizing it alone gives what cutting last would, and long strips do not grow."""
    width, height = image.size
    if crop == "stretch":
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _too_large(where: str, got: str) -> str:
    return (
        f"expected at most {MOST_PIXELS:,} pixels and {LONGEST_SIDE:,} a side at '{where}', got {got}; "
        "make the image smaller or remove it"
    )
