"""What is fuzzed: every reader of files that people get from others, with whole files to begin from.

A target reads one file in a folder of its own. Whatever stands in the file, the reader returns or refuses in one line,
and starts nothing, writes nothing and connects to nothing; memory is held against a limit by those who call it.
"""

import base64
import gzip
import io
import json
import os
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from innerloop.cli import train as train_verb
from innerloop.data import archives, arrays, cifar100, folder, manifest, mini_imagenet
from innerloop.data.episode import EpisodeShape
from innerloop.data.pickles import read_pickle
from innerloop.data.pictures import from_text, pixels
from innerloop.data.sampler import choose
from innerloop.errors import LONGEST, InnerloopError
from innerloop.runs import Recipe, banks, explanation, opened
from innerloop.runs.grid import cells
from innerloop.runs.grid import from_text as grid_from_text
from innerloop.runs.recipe import from_yaml, to_yaml
from worlds import made_up_data

MOST_LETTERS = LONGEST * 10  # every character may have to be written out
MADE_UP = made_up_data().split("test")


class Target(NamedTuple):
    """One reader.

    Attributes:
        file: What the file is called in its folder.
        read: Reads it, given the folder.
        whole: Gives files that are read without complaint, to begin from.
        beside: Other files that have to lie there; a folder where the name ends in a slash.
    """

    file: str
    read: Callable[[Path], object]
    whole: Callable[[], list[bytes]]
    beside: tuple[str, ...] = ()


def harmless(target: Target, folder: Path, content: bytes) -> object:
    """Read content as a target does; return what came of it, None where it was refused as it should be.

    Raises:
        AssertionError: The refusal is not one line, or something was started, written or connected to.
    """
    for name in target.beside:
        (folder / name).mkdir(exist_ok=True) if name.endswith("/") else (folder / name).touch()
    (folder / target.file).write_bytes(content)
    found: object = None
    with watched() as deeds:
        try:
            found = target.read(folder)
        except InnerloopError as error:
            said = str(error)
            assert said.isprintable(), said
            assert 0 < len(said) <= MOST_LETTERS, said
    assert not deeds, deeds
    assert sorted(os.listdir(folder)) == sorted({target.file, *(name.rstrip("/") for name in target.beside)})
    return found


STARTS = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn"),
    *("socket.connect", "socket.bind", "ctypes.dlopen", "webbrowser.open", "urllib.Request"),
)
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_deeds: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _deeds is None or "__pycache__" in str(arguments):
        return
    writes = event == "open" and bool(arguments[2] & WRITING)
    if writes or event in STARTS or event in CHANGES or (event, arguments[:1]) == ("import", ("evil",)):
        _deeds.append(f"{event} {arguments}")


@contextmanager
def watched() -> Iterator[list[str]]:
    """List what is started, changed or opened for writing meanwhile, by Python's own audit events."""
    global _deeds
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    _deeds = deeds = []
    try:
        yield deeds
    finally:
        _deeds = None


_hooked: list[bool] = []


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _recipe(place: Path) -> object:
    return from_yaml(_text((place / "recipe.yaml").read_bytes()), "recipe.yaml")


def _config(place: Path) -> object:
    from argparse import ArgumentError

    from innerloop.cli.parsing import one_line, to_recipe

    try:
        return to_recipe(train_verb.parser().parse_args([f"--config={place / 'config.yaml'}"]))
    except ArgumentError as error:  # what `innerloop.cli.main` does with it
        raise one_line(error, ()) from error


def _grid(place: Path) -> object:
    grid = grid_from_text(_text((place / "grid.yaml").read_bytes()), "grid.yaml")
    several = 1
    for values in grid.axes.values():
        several *= len(values)
    return cells(grid, Recipe()) if several < 20 else grid


def _manifest(place: Path) -> object:
    return manifest.replay(MADE_UP, manifest.read(place / "manifest.json"))


def _explanation(place: Path) -> object:
    kept = explanation._read(place / "result.json")
    assert "/" not in kept.name
    return kept


def _zip(place: Path) -> object:
    return [len(read()) for _, read in archives.files(place / "images.zip", (".png", ".txt"), 1_000_000)]


def _mini(place: Path) -> object:
    return mini_imagenet._from_table(place, "train")


def _bank(place: Path) -> object:
    return banks.read(place / "bank.safetensors", {"model": "a"})


def _yaml() -> list[bytes]:
    return [to_yaml(Recipe()).encode(), b"seed: 3\ninner: {lr: 1.0e-1, lr_of: {'head.*': [0.1, 2]}}\n"]


def _grids() -> list[bytes]:
    text = "set: {training.steps: 3}\naxes:\n  head: {random: {}, zeroing: {algorithm.head: zeroing}}\n  lr:\n"
    return [
        (text + "    '0.1': {inner.lr: 0.1}\n    no: &a {inner.lr: 1}\nseeds: [0, 1]\nexplain: [contrast]\n").encode()
    ]


def _manifests() -> list[bytes]:
    choices = [choose(MADE_UP, EpisodeShape(2, 1, 2), 0, index) for index in range(2)]
    return [manifest.record(MADE_UP, choices).to_json().encode()]


def _evaluations() -> list[bytes]:
    result = {
        "data_set": "x", "split": "test", "shape": asdict(EpisodeShape()), "seed": 0, "inner_lr": 0.4,
        "transductive": True, "as_trained": [[0.2, 0.5], [0.25, 0.75]], "zeroed": [[0.2, 0.5], [0.25, 0.75]],
        "measure": "accuracy", "manifest": None, "head": "params", "learned_rates": "none", "rates_by_name": False,
    }  # fmt: skip
    kept = {"command": "innerloop", "checkpoint": "best", "data": {"name": "digits"}, "evaluation": result}
    return [json.dumps(kept).encode()]


def _explanations() -> list[bytes]:
    kept = {
        "format": 1, "analysis": "contrast", "command": "innerloop", "checkpoint": "best", "step": 3,
        "data": {"name": "digits"}, "split": "test", "shape": {**asdict(EpisodeShape()), "n_way": [2, 5]},
        "episodes": 2, "seed": 0, "inner_lr": 0.4, "inner_steps": 1, "transductive": False,
        "settings": {"rates": [0.1, 0.2], "bank_from": "../../there"}, "values": {"a": [1, 2.5, None]},
    }  # fmt: skip
    return [json.dumps(kept).encode()]


def _pickles() -> list[bytes]:
    value = {"data": np.arange(24, dtype=np.uint8).reshape(4, 6), "labels": [1, 2], "t": (1, "a", None, 1.5, 2**40)}
    return [pickle.dumps(value, protocol) for protocol in (2, 4)]


def _images() -> list[bytes]:
    found = []
    levels = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    for mode, form in (("RGB", "PNG"), ("L", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG")):
        image = Image.fromarray(levels)
        image = Image.fromarray(levels[..., 0].astype(np.uint16)) if mode == "I;16" else image.convert(mode)
        out = io.BytesIO()
        image.save(out, form, **({"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"} if form == "JPEG" else {}))
        found.append(out.getvalue())
    return found


def _zips() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a/b.png", _images()[0])
            archive.writestr("a/é.txt", "x" * 300)
        found.append(out.getvalue())
    return found


def _npzs() -> list[bytes]:
    out, packed = io.BytesIO(), io.BytesIO()
    labels = np.arange(20) // 2
    content = {"inputs": np.arange(60, dtype=np.float32).reshape(20, 3), "labels": labels}
    np.savez(out, **content, splits=np.repeat(["train", "test"], 10))
    np.savez_compressed(packed, **content)
    return [out.getvalue(), packed.getvalue()]


def _tars() -> list[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in cifar100.FILES:
            member = tarfile.TarInfo(f"{cifar100.FOLDER}/{file}")
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(range(256)) * 3))
    return [out.getvalue()]


def _tar(place: Path) -> object:
    try:
        return cifar100._in_tar((place / "x.tar").read_bytes())
    except ValueError:  # which its caller says in one line
        return None


def _gzip(place: Path) -> object:
    return cifar100._from_archive(place / cifar100.ARCHIVE)


def _tables() -> list[bytes]:
    return [
        b"filename,label,split\na.png,cat,train\nb.png,dog,test\n",
        b'\xef\xbb\xbffilename,label,split\n"a.png",c,val\n',
    ]


def _minis() -> list[bytes]:
    return [b"filename,label\nn0153282900000005.jpg,n01532829\n"]


def _banks() -> list[bytes]:
    from safetensors.torch import save

    words = json.dumps({"format": 1, "about": {"model": "a"}})
    return [save({"vectors": torch.ones(2, 3)}, {"innerloop": words})]


TARGETS = {
    "recipe": Target("recipe.yaml", _recipe, _yaml),
    "config": Target("config.yaml", _config, _yaml),
    "grid": Target("grid.yaml", _grid, _grids),
    "manifest": Target("manifest.json", _manifest, _manifests),
    "evaluation": Target("evaluation-x.json", lambda place: opened._kept(place / "evaluation-x.json"), _evaluations),
    "explanation": Target("result.json", _explanation, _explanations),
    "pickle": Target("x.pkl", lambda place: read_pickle((place / "x.pkl").read_bytes(), "x.pkl"), _pickles),
    "image": Target("x.png", lambda place: pixels((place / "x.png").read_bytes(), "x", size=8, channels=3), _images),
    "thumbnail": Target(
        "x.txt", lambda place: from_text(base64.b64encode((place / "x.txt").read_bytes()).decode()), _images
    ),
    "zip": Target("images.zip", _zip, _zips),
    "npz": Target("mine.npz", lambda place: arrays.load(str(place)), _npzs),
    "tar": Target("x.tar", _tar, _tars),
    "gzip": Target(cifar100.ARCHIVE, _gzip, lambda: [gzip.compress(_tars()[0])]),
    "table": Target("images.csv", folder.items, _tables, ("a.png", "b.png")),
    "mini_table": Target("train.csv", _mini, _minis, ("images/",)),
    "bank": Target("bank.safetensors", _bank, _banks),
}
