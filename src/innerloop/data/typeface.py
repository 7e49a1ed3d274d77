"""typeface: letters of five scripts in up to sixteen faces, rendered from the fonts that ship with matplotlib.

Meta-train is Latin, meta-validation Armenian and Georgian, meta-test Greek and Cyrillic. Nothing is downloaded.
A letter that looks like one already kept (A stands in Latin, Greek and Cyrillic) is left out, across splits and
inside one. The images depend on the fonts and on Pillow's version alone.
"""

import unicodedata
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import matplotlib
import numpy as np
import PIL
import torch
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from innerloop.data.split import TEST, TRAIN, VALIDATION, DataSet, data_set
from innerloop.data.storage import Item, Watch, prepared, unwatched
from innerloop.seeds import generator

SIDES = {"LATIN": TRAIN, "ARMENIAN": VALIDATION, "GEORGIAN": VALIDATION, "GREEK": TEST, "CYRILLIC": TEST}
FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
LETTER_KINDS = ("Lu", "Ll", "Lt", "Lo")
FEWEST_FACES = 12
IMAGES_PER_LETTER = 20
SIZE = 28
# Letters are drawn at four times the final size and averaged down; the em square fills 20 of the 28 pixels.
FINE = 4 * SIZE
EM = 80
WIDEST = 96
# Two letters look the same when the mean cosine of their upright pictures reaches this. Chosen by looking at the
# pairs around it: above stand A and Cyrillic A, e with a breve and e with a caron; below, letters a reader tells apart.
SAME_LOOK = 0.955
LOOKED_AT = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "DejaVuSans-Oblique")
RECIPE = "1"  # raise it when the rendering below changes

Warp = tuple[float, ...]


def load(watch: Watch = unwatched) -> DataSet:
    """Return the data set, rendering it into the cache the first time (some seconds)."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    digest = sha256(f"{RECIPE} {PIL.__version__}".encode())
    for face in FACES:
        digest.update((folder / f"{face}.ttf").read_bytes())
    images = prepared("typeface", digest.hexdigest(), (1, SIZE, SIZE), lambda: _items(folder), watch=watch)
    sides: dict[str, list[str]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for name in images.class_names:
        sides[SIDES[name.split()[0]]].append(name)
    return data_set("typeface", images, sides)


def _items(folder: Path) -> list[Item]:
    fonts = {
        face: ImageFont.truetype(str(folder / f"{face}.ttf"), EM, layout_engine=ImageFont.Layout.BASIC)
        for face in FACES
    }
    faces_of = _letters(folder)
    letters = _without_look_alikes(list(faces_of), fonts)
    return [
        Item(unicodedata.name(letter), f"{unicodedata.name(letter)} {number}", partial(_rendered, letter, font, warp))
        for letter in letters
        for number, (font, warp) in enumerate(_variants(letter, [fonts[face] for face in faces_of[letter]]))
    ]


def _variants(letter: str, fonts: list[ImageFont.FreeTypeFont]) -> Iterator[tuple[ImageFont.FreeTypeFont, Warp]]:
    """Yield a face and a warp for every image, the faces in turn."""
    yield from ((fonts[number % len(fonts)], warp) for number, warp in enumerate(_warps(letter)))


def _rendered(letter: str, font: ImageFont.FreeTypeFont, warp: Warp) -> NDArray[np.uint8]:
    warped = _glyph(letter, font).transform((FINE, FINE), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)
    return np.asarray(warped.reduce(FINE // SIZE))[None]


def _letters(folder: Path) -> dict[str, list[str]]:
    """Return every letter of the five scripts that enough faces have, with those faces; train letters first."""
    alphabets = {face: set(FT2Font(str(folder / f"{face}.ttf")).get_charmap()) for face in FACES}
    found: dict[str, list[str]] = {}
    for code in sorted(set().union(*alphabets.values())):
        letter = chr(code)
        script = unicodedata.name(letter, "?").split()[0]
        faces = [face for face in FACES if code in alphabets[face]]
        if script in SIDES and unicodedata.category(letter) in LETTER_KINDS and len(faces) >= FEWEST_FACES:
            found[letter] = faces
    order = list(dict.fromkeys(SIDES.values()))
    return dict(sorted(found.items(), key=lambda item: order.index(SIDES[unicodedata.name(item[0]).split()[0]])))


def _without_look_alikes(letters: list[str], fonts: dict[str, ImageFont.FreeTypeFont]) -> list[str]:
    pictures = np.stack([_looks(letter, fonts) for letter in letters])
    kept: list[int] = []
    for index in range(len(letters)):
        cosines = pictures[kept] @ pictures[index]
        if not kept or cosines.max() < SAME_LOOK:
            kept.append(index)
    return [letters[index] for index in kept]


def _looks(letter: str, fonts: dict[str, ImageFont.FreeTypeFont]) -> NDArray[np.float64]:
    """Return one vector whose inner product with another's is the mean cosine over the faces looked at."""
    faces = []
    for face in LOOKED_AT:
        picture = np.asarray(_glyph(letter, fonts[face]).reduce(FINE // SIZE), np.float64).ravel()
        faces.append(picture / (np.linalg.norm(picture) * np.sqrt(len(LOOKED_AT))))
    return np.concatenate(faces)


def _glyph(letter: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw the letter white on black, centred; only what would not fit is made smaller."""
    left, top, right, bottom = font.getbbox(letter)
    width, height = right - left, bottom - top
    side = int(max(FINE, FINE * max(width, height) / WIDEST))
    picture = Image.new("L", (side, side))
    corner = ((side - width) // 2 - left, (side - height) // 2 - top)
    ImageDraw.Draw(picture).text(corner, letter, font=font, fill=255)
    return picture if side == FINE else picture.resize((FINE, FINE), Image.Resampling.BOX)


def _warps(letter: str) -> Iterator[Warp]:
    """Yield seeded affine maps: slants up to .12 each way, size .85 to 1.1, shifts up to 1.5 pixels.

    Made of sums and products alone, so that no machine's sine can change a pixel.
    """
    draws = torch.rand(IMAGES_PER_LETTER, 5, generator=generator(0, "typeface", letter), dtype=torch.float64)
    middle = FINE / 2
    for across, along, size, right, down in (2 * draws - 1).tolist():
        zoom = 1 / (0.975 + 0.125 * size)
        a, b, d, e = zoom, 0.12 * across * zoom, 0.12 * along * zoom, zoom
        yield a, b, middle * (1 - a - b) + 6 * right, d, e, middle * (1 - d - e) + 6 * down
