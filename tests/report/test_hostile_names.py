"""Names that are markup, formulas or commands to a terminal stay text: in the page, in its figures, in a browser."""

import base64
import csv
import re
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from innerloop.report.html import card
from report.test_browser import CHROMIUM, FLAGS, needs_browser
from shells import InProcess

NAMES = (
    "<script>alert(1)<script>",
    '"><img src=x onerror=alert(2)>',
    "</style><b>",
    "a & b &lt; c",
    r"$\frac$ $x",
    "]]> <![CDATA[",
    "\u202egnp.exe\u202c",
    "\x1b[31mred --> -->",
    "'; DROP x",
)
RUN = "<img src=x onerror=alert(3)> $\\frac$ \u202e & \x1b[2J]]>"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "div", "span", "figure", "img"),
    *("figcaption", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "ul", "li"),
}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "src", "alt"}
DRAWN = {
    *("svg", "metadata", "RDF", "Work", "type", "format", "defs", "style", "title"),
    *("g", "path", "clipPath", "rect", "use", "image"),
}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, their attributes and the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.pictures, self.text = set(), set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.pictures += [value for name, value in attrs if name == "src"]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Two runs, trained, tested and explained by the real command on classes of such names, and a sweep."""
    place = tmp_path_factory.mktemp("hostile")
    rng, rows = np.random.default_rng(0), []
    for side in ("train", "val", "test"):
        for number, name in enumerate(NAMES):
            for each in range(3):
                file = f"{side}-{number}-{each}.png"
                Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(place / file)
                rows.append((file, f"{name} {side}", side))
    with (place / "list.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("filename", "label", "split"), *rows])
    run = InProcess(place)
    data = ("--data.name=folder", f"--data.root={place}", "--data.size=16", "--data.channels=1")
    small = ("--model.name=mlp", "--model.hidden=4", "--training.tasks=2", "--training.steps=2", "--inner.lr=0.01")
    shape = ("--episode.n_way=5", "--episode.n_queries=2", "--record.validation=1", "--record.validation_episodes=2")
    for name in (RUN, "other"):
        run("train", *data, *small, *shape, f"--out={name}")
        run("evaluate", name, "--episodes=3")
        run("explain", name, "responsibility", "cosine", "--episodes=3")
    (place / "base.yaml").write_text((place / "other" / "recipe.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    grid = f"recipe: base.yaml\naxes:\n  {NAMES[1]!r}: {{a: {{}}, b: {{inner.lr: 0.02}}}}\n"
    (place / "grid.yaml").write_text(f"{grid}  '{NAMES[4]}': {{c: {{}}}}\nexplain: [cosine]\n# {NAMES[0]}\n")
    return run


@pytest.fixture(scope="module")
def written(shell):
    """The report of one run, of both compared, and of a sweep."""
    shell("report", RUN, f"--title={NAMES[0]}", "--out=one.html")
    shell("report", RUN, "other", f"--title={NAMES[1]}", "--out=two.html")
    shell("sweep", "grid.yaml", "--out=swept <b>")
    places = ("one.html", "two.html", "swept <b>/sweep.html")
    return [(shell.folder / place).read_text(encoding="utf-8") for place in places]


def test_no_element_and_no_attribute_of_a_page_comes_from_a_name(written):
    for page in written:
        read = Page(page)
        assert read.tags <= TAGS, read.tags - TAGS
        assert read.attributes <= ATTRIBUTES, read.attributes - ATTRIBUTES
        assert all(each.startswith("data:image/svg+xml;base64,") for each in read.pictures)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)


def test_every_name_is_there_as_text(written):
    one, two, swept = (Page(page) for page in written)
    assert NAMES[0] in one.text
    assert NAMES[1] in two.text
    assert "<img src=x onerror=alert(3)> $\\frac$ \\u202e & \\x1b[2J]]>" in one.text
    assert NAMES[1] in swept.text  # an axis
    assert NAMES[0] in swept.text  # a comment in the grid's file


def test_figures_draw_names_as_text_and_are_whole_svg(written):
    drawn = ""
    for page in written:
        for picture in Page(page).pictures:
            svg = base64.b64decode(picture.partition(",")[2]).decode()
            tags = {each.tag.rpartition("}")[2] for each in ElementTree.fromstring(svg).iter()}
            assert tags <= DRAWN, tags - DRAWN
            drawn += svg
    assert r"onerror=alert(3)> $\frac$ \u202e" in drawn.replace("&gt;", ">").replace("&lt;", "<")
    assert "mathdefault" not in drawn


def test_a_figure_carries_no_marks_that_turn_its_text_round():
    shown = Page(card("<svg>\u202egnp\x1b</svg>", "", "")).pictures[0]
    assert base64.b64decode(shown.partition(",")[2]).decode() == r"<svg>\u202egnp\u001b</svg>"


@needs_browser
def test_a_browser_runs_nothing_of_theirs(written, shell, tmp_path):
    for number, page in enumerate(written):
        # Without its policy, so that it is not the browser that saves the page.
        free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
        assert free != page
        place = tmp_path / f"{number}.html"
        place.write_text(free.replace("<head>", "<head><script>alert = () => console.log('ran')</script>", 1))
        done = subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0",
             "--virtual-time-budget=10000", "--dump-dom", place.as_uri()],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        assert "CONSOLE" not in done.stderr, done.stderr[-500:]
        made = Page(done.stdout)
        assert made.tags <= TAGS | {"script"}
        assert made.attributes <= ATTRIBUTES
        assert done.stdout.count("<script") == 1
