"""Full, read-only and forbidden disks: one line, exit code 2, and nothing half-written that later passes for whole."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faults.conftest import QUICK
from faults.disks import PAGE, held_to_modes, quota
from faults.harness import differences
from innerloop.runs import RunDirectory, history, open_run, saves, snapshots

EXPERIMENT = (
    "mixed_regression",
    "--mixed_regression.worlds=20",
    "--mixed_regression.training_rates=[0,1]",
    "--mixed_regression.adaptation_rates=[0,0.2]",
    "--mixed_regression.under.tasks=20",
)
GRID = """
recipe: base.yaml
axes:
  head: {random: {}, zeroing: {algorithm.head: zeroing}}
explain: [contrast]
"""


def tree(folder):
    """All files with their content."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def opens(folder):
    """Open all that is in a run's folder."""
    if not (folder / "recipe.yaml").exists():
        return
    run = open_run(folder)
    directory = RunDirectory(folder)
    for step in saves.steps(directory):
        run.state("last")
        assert step <= run.history[-1]["step"]
    for step in run.snapshots():
        snapshots.read(directory.snapshots, step)
    assert [record["step"] for record in run.history] == list(range(len(run.history)))
    run.evaluations()
    run.explanations()


def refused(shell, place, *words, because="No space left on device"):
    """Run what the disk does not take: one line that names what could not be written, and why."""
    said = shell.refused(*words)
    assert because in said
    assert str(place) in said
    return said


def begun_or_continued(shell, run):
    shell("train", *(("--resume", run) if (run / "recipe.yaml").exists() else (*QUICK, "--out", run)))


@pytest.mark.parametrize("pages", [15, pytest.param(4, marks=pytest.mark.slow)])
def test_a_run_on_a_disk_that_fills_up_anywhere_goes_on_once_there_is_room(shell, disk, finished, pages):
    run, left = disk.place / "run", 0
    while True:
        disk.fill(left)
        try:
            refused(shell, run, "train", *QUICK, "--out", run)
        except AssertionError:
            if not (run / "history.jsonl").exists() or history.read(run / "history.jsonl")[-1]["step"] < 8:
                raise
            break
        opens(run)
        assert not list(disk.place.rglob(".*-*"))
        disk.free()
        begun_or_continued(shell, run)
        assert differences(finished, run) == []
        shutil.rmtree(run)
        left += pages * PAGE
    assert left > 20 * PAGE, "the disk was never full"


@pytest.mark.parametrize("size", [100, 1500])
def test_a_run_whose_files_outgrow_a_quota_goes_on_once_that_is_lifted(shell, finished, size):
    run = shell.folder / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    quota(size)
    try:
        refused(shell, run, "train", *QUICK, "--out", run, because="File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    opens(run)
    begun_or_continued(shell, run)
    assert differences(finished, run) == []


@pytest.fixture
def run(disk, finished):
    """A finished run on the small disk."""
    return Path(shutil.copytree(finished, disk.place / "run"))


@pytest.mark.parametrize(
    ("words", "pages", "made"),
    [
        (("evaluate", "run", "--episodes=4"), [0], "evaluation-*.json"),
        (("explain", "run", "contrast", "--episodes=2"), [0, 3, 6], "explained/*/result.json"),
        (("explain", "run", "contrast", "head_memory", "--episodes=2"), [4], "explained/*/result.json"),
        (("report", "run"), [0, 4], "report.html"),
        (("data", "show", "digits", "--out=sheet.png"), [0, 1], "../sheet.png"),
        (("experiment", *EXPERIMENT, "--out=tried"), [0, 9], "../tried/result.json"),
    ],
    ids=lambda each: "-".join(each[:4]) if isinstance(each, tuple) else None,
)
def test_what_does_not_fit_on_a_full_disk_is_not_there(shell, disk, run, words, pages, made):
    shell.folder = disk.place
    for left in pages:
        disk.fill(left * PAGE)
        said = shell.refused(*words)
        assert "No space left on device" in said
        assert list(run.glob(made)) == []
        assert not list(disk.place.rglob(".*-*"))
        opens(run)
        disk.free()
        shutil.rmtree(disk.place / "tried", ignore_errors=True)
    shell(*words)
    assert list(run.glob(made))


def sweep_in(folder):
    settings = dict(each.removeprefix("--").split("=") for each in QUICK)
    nested: dict[str, dict[str, object]] = {}
    for name, value in settings.items():
        room, setting = name.split(".")
        nested.setdefault(room, {})[setting] = json.loads(value) if value.isdigit() or value == "true" else value
    (folder / "base.yaml").write_text(json.dumps({**nested, "evaluation": {"episodes": 4}}))
    (folder / "grid.yaml").write_text(GRID)


@pytest.mark.slow
def test_a_sweep_on_a_disk_that_fills_up_goes_on_once_there_is_room(shell, disk):
    sweep_in(shell.folder)
    shell("sweep", "grid.yaml", "--out=whole")
    out = disk.place / "sweep"
    for left in (0, 10 * PAGE, 36 * PAGE, 44 * PAGE, 52 * PAGE, 60 * PAGE):
        disk.fill(left)
        refused(shell, out, "sweep", "grid.yaml", "--out", out)
        for each in out.rglob("recipe.yaml"):
            opens(each.parent)
        disk.free()
    disk.grow(8 << 20)
    shell("sweep", "grid.yaml", "--out", out)
    for each in ("random", "zeroing"):
        assert differences(shell.folder / "whole" / each / "seed-0", out / each / "seed-0") == []
        assert list((out / each / "seed-0").glob("explained/*/*.png"))
    assert (out / "sweep.html").exists()


def pictures(folder, classes=6):
    """A folder of images, a few classes a side."""
    rng = np.random.default_rng(0)
    for number in range(3 * classes):
        place = folder / ("train", "validation", "test")[number % 3] / f"class-{number}"
        place.mkdir(parents=True)
        for each in range(4):
            Image.fromarray(rng.integers(0, 255, (84, 84, 3), np.uint8)).save(place / f"{each}.png")
    return folder


def test_data_that_do_not_fit_into_the_cache_leave_nothing_there(shell, disk, monkeypatch):
    root = pictures(shell.folder / "pictures")
    cache = disk.place / "cache"
    monkeypatch.setenv("INNERLOOP_CACHE", str(cache))
    words = ("data", "prepare", "folder", "--data.root", root, "--data.size=32")
    for left in (0, 2 * PAGE, 30 * PAGE, 55 * PAGE):
        disk.fill(left)
        refused(shell, cache, *words)
        assert not cache.exists() or list(cache.iterdir()) == []
        disk.free()
    assert "folder test: 6 classes, 4 examples each, 3x32x32" in shell(*words)


def test_what_is_shown_to_a_full_disk_or_to_nobody_ends_in_one_line(installed):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "innerloop", "data", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in done.stderr


VERBS = {
    "begin": ("train", *QUICK, "--out=disk/new"),
    "resume": ("train", "--resume=disk/run"),
    "evaluate": ("evaluate", "disk/run", "--episodes=4"),
    "explain": ("explain", "disk/run", "contrast", "cosine", "--episodes=2"),
    "report": ("report", "disk/run"),
    "sweep": ("sweep", "grid.yaml", "--out=disk/sweep"),
    "experiment": ("experiment", *EXPERIMENT, "--out=disk/tried"),
    "show": ("data", "show", "digits", "--out=disk/sheet.png"),
    "prepare": ("data", "prepare", "folder", "--data.root=pictures"),
}


def test_a_read_only_disk_is_one_line_for_every_verb_and_is_still_read(shell, disk, run, monkeypatch):
    sweep_in(shell.folder)
    pictures(shell.folder / "pictures", classes=2)
    before = tree(disk.place)
    disk.read_only()
    monkeypatch.setenv("INNERLOOP_CACHE", str(disk.place / "cache"))
    for words in VERBS.values():
        assert "Read-only file system" in shell.refused(*words)
    monkeypatch.undo()
    shell("report", run, "--out=page.html")
    disk.read_only(False)
    assert tree(disk.place) == before


EVERY_VERB = """
import json, sys
from innerloop.cli.main import main
for words in json.loads(sys.argv[1]):
    print("exit code", main(words), file=sys.stderr)
"""


def as_somebody(folder, verbs, **env):
    """Run verbs in one process that has to obey the modes of files; return exit codes and lines."""
    words = [sys.executable, "-c", EVERY_VERB, json.dumps([list(map(str, each)) for each in verbs])]
    done = subprocess.run(
        words, cwd=folder, preexec_fn=held_to_modes, capture_output=True, text=True, check=True, env=env or None
    )
    lines = done.stderr.splitlines()
    return lines[::2], lines[1::2]


def test_a_folder_that_may_not_be_written_is_one_line_for_every_verb(shell, finished, monkeypatch):
    sweep_in(shell.folder)
    pictures(shell.folder / "pictures", classes=2)
    shutil.copytree(finished, shell.folder / "disk" / "run")
    before = tree(shell.folder)
    monkeypatch.setenv("INNERLOOP_CACHE", str(shell.folder / "disk" / "cache"))
    places = [shell.folder / "disk", *(each for each in (shell.folder / "disk").rglob("*") if each.is_dir())]
    for each in places:
        each.chmod(0o500)
    said, codes = as_somebody(shell.folder, VERBS.values())
    for each in places:
        each.chmod(0o700)
    assert codes == ["exit code 2"] * len(VERBS)
    assert [line for line in said if "Permission denied" not in line] == []
    assert tree(shell.folder) == before


def test_files_that_may_not_be_read_are_named_in_one_line(shell, finished):
    pictures(shell.folder / "pictures", classes=2)
    np.savez(shell.folder / "mine.npz", inputs=np.zeros((2, 2)), labels=np.arange(2))
    names = ["recipe.yaml", "run.json", "history.jsonl", "best.safetensors", "checkpoints", "."]
    verbs = []
    for number, name in enumerate(names):
        run = Path(shutil.copytree(finished, shell.folder / f"run-{number}"))
        (run / name).chmod(0)
        verbs.append(("train", "--resume", run) if name == "checkpoints" else ("evaluate", run))
    for place in (shell.folder / "pictures", shell.folder / "mine.npz"):
        place.chmod(0)
        name = "folder" if place.is_dir() else "arrays"
        verbs.append(("data", "prepare", name, "--data.root", place))
    said, codes = as_somebody(shell.folder, verbs)
    for each in shell.folder.iterdir():
        each.chmod(0o700)
    assert codes == ["exit code 2"] * len(verbs)
    for line, words in zip(said, verbs, strict=True):
        assert Path(words[-1]).name in line


@pytest.mark.slow
def test_numbers_of_a_bench_that_do_not_fit_are_one_line(shell, disk):
    sweep_in(shell.folder)
    kept = disk.place / "bench.json"
    kept.write_text("of before")
    disk.fill()
    words = ("bench", "--recipe=base.yaml", "--engines=loop", "--rounds=1", "--json", kept)
    refused(shell, kept, *words)
    assert kept.read_text() == "of before"
