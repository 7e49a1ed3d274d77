"""The report opened in a real browser: no console message, no request, nothing wider than the page."""

import json
import re
import shutil
import subprocess
from html import escape, unescape

import pytest

from innerloop.algorithms import AlgorithmConfig
from innerloop.data import DataConfig, load
from innerloop.data.episode import EpisodeShape
from innerloop.driver import begin
from innerloop.models import ModelConfig
from innerloop.report import render
from innerloop.runs import KeptEvaluation, Recipe, RecordConfig, open_run, untrained
from innerloop.training import TrainingConfig, evaluate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LONG = "a-run-with-a-name-that-is-long-enough-to-be-a-nuisance-and<script>alert(1)</script>"

# The page stands in a frame as wide as the device asked for; the outer page measures it and writes what it found.
PROBE = """<!DOCTYPE html><body style="margin:0"><iframe id="page" style="border:0;width:{width}px;height:900px"
 srcdoc="{page}"></iframe><pre id="found"></pre><script>
addEventListener("load", () => {{
  const inner = document.getElementById("page").contentDocument;
  const wide = [...inner.querySelectorAll("body *")].filter(each =>
    !each.closest(".scroll") && each.getBoundingClientRect().right > inner.documentElement.clientWidth + 1);
  document.getElementById("found").textContent = JSON.stringify({{
    scroll: inner.documentElement.scrollWidth, client: inner.documentElement.clientWidth,
    wide: wide.map(each => each.tagName), scripts: inner.scripts.length,
    broken: [...inner.images].filter(each => !each.complete || !each.naturalWidth).length,
    images: inner.images.length,
    requests: document.getElementById("page").contentWindow.performance.getEntriesByType("resource")
      .map(each => each.name).filter(name => !name.startsWith("data:")) }});
}});</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = []
    for name, policy in (("random-head", "learned"), (LONG.replace("/", "-"), "zeroing")):
        recipe = Recipe(
            model=ModelConfig("strided_conv4", filters=8),
            algorithm=AlgorithmConfig("fomaml", head=policy),
            training=TrainingConfig(2, 2),
            record=RecordConfig(1, 2, 1, 1, 2),
        )
        for _ in begin(recipe, str(folder / name), "innerloop train"):
            pass
        run = open_run(folder / name)
        for data, k_shot in ((DataConfig("typeface"), 1), (DataConfig("digits"), 5)):
            split = load(data).split("test")
            algorithm = untrained(run.recipe, split)
            shape = EpisodeShape(5, k_shot, 3)
            result = evaluate(algorithm, run.state("last").params, split, shape, range(3), 0)
            run.keep(KeptEvaluation("innerloop evaluate", "last", data, result))
        runs.append(run)
    return render(runs, "A report with <b>marks</b> & more")


def test_the_page_carries_all_it_shows_and_escapes_every_name(page):
    assert "<script" not in page
    assert "alert(1)&lt;" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<h1>A report with &lt;b&gt;marks&lt;/b&gt; &amp; more</h1>" in page


def test_every_figure_has_a_caption_and_a_description(page):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == page.count("<figure>") == page.count("<img ") == 10
    assert all(len(caption) > 40 for caption in captions)
    assert all(re.findall(r'alt="(.+?)"', page))


@needs_browser
@pytest.mark.parametrize("width", [1280, 360])
def test_a_browser_shows_the_report_without_complaint(page, width, tmp_path):
    place = tmp_path / "probe.html"
    place.write_text(PROBE.format(width=width, page=escape(page, quote=True)), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=10000",
            f"--window-size={width + 40},1000",
            "--dump-dom",
            place.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)[1]))
    assert found["scroll"] <= found["client"], found
    assert found["wide"] == []
    assert (found["broken"], found["images"], found["scripts"], found["requests"]) == (0, 10, 0, [])
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
