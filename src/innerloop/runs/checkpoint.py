"""A training state as one safetensors file: tensors and a line of metadata, nothing that can run code.

The metadata holds a digest of everything else, so that a file that was damaged later is known as such.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isnan
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from innerloop.errors import DamagedError, RunError
from innerloop.plain import number, parse_json, whole
from innerloop.runs.files import write_whole
from innerloop.shapes import Params
from innerloop.training import State

FORMAT = 2
WITHOUT_DIGEST = 1
NAME = re.compile(r"step-(\d{6}|[1-9]\d{6,17})\.safetensors")
GROUPS = ("params", "optimizer", "first_head")
LATER = ("skipped", "in_a_row", "rate", "gradient_norm")  # what files from before they were there lack


@dataclass(frozen=True)
class Best:
    """The best meta-validation score so far (accuracy, or minus the loss of real targets), and its outer step."""

    score: float = float("-inf")
    step: int = -1


def place_of(folder: Path, step: int) -> Path:
    """Return where a folder of many states keeps the one after this outer step."""
    return folder / f"step-{step:06d}.safetensors"


def steps_in(folder: Path) -> tuple[int, ...]:
    """Return the outer steps whose states a folder keeps, the first of them first."""
    found = (NAME.fullmatch(place.name) for place in folder.glob("step-*"))
    return tuple(sorted(int(each[1]) for each in found if each))


def whose(about: Mapping[str, Any]) -> str:
    """Return what tells a run's states from those of another, by its run.json: its recipe and its data; "" if nothing.

    Equal runs have equal states, so it is no number of their own.
    """
    recipe = str(about.get("recipe", ""))
    return f"{recipe} {about.get('data', '')}" if recipe else ""


def write_checkpoint(place: Path, state: State, best: Best, of: str = "") -> None:
    """Write a state whole or not at all; `of` says `whose` it is."""
    tensors = {
        f"{group}:{name}": value.detach().to("cpu", copy=True).contiguous()
        for group in GROUPS
        for name, value in getattr(state, group).items()
    }
    about = {
        "format": FORMAT,
        "of": of,
        "step": state.step,
        "loss": state.loss,
        "accuracy": state.accuracy,
        **{name: getattr(state, name) for name in LATER},
        "best_score": best.score,
        "best_step": best.step,
        # safetensors sorts what it holds; sums over parameters round by their order.
        "order": list(tensors),
    }
    about["digest"] = _digest(about, tensors)
    # One key, since safetensors writes several in no fixed order, and equal states should be equal bytes.
    write_whole(place, save(tensors, {"innerloop": json.dumps(about)}))


def read_checkpoint(place: Path, of: str = "", cure: str = "restore it, or train again") -> tuple[State, Best]:
    """Read a state back.

    Args:
        place: The file.
        of: `whose` it has to be; "" is anybody's. Files from before they said so are anybody's.
        cure: What to do where it is not there or damaged.

    Raises:
        DamagedError: The file is not what was written.
        RunError: It is missing, or of another format.
    """
    try:
        if place.exists() and not place.is_file():
            raise ValueError("something else than a file")  # a pipe would never end
        with safe_open(place, framework="pt") as file:
            about = parse_json((file.metadata() or {})["innerloop"], finite=False)
            if about["format"] not in (WITHOUT_DIGEST, FORMAT):
                raise RunError(
                    f"expected a checkpoint of format {FORMAT} at '{place}', got {about['format']!r}; "
                    "open it with the version of innerloop that wrote it"
                )
            tensors = {key: file.get_tensor(key) for key in about.get("order", file.keys())}
        if about["format"] == FORMAT and about["digest"] != _digest(about, tensors):
            raise ValueError("its content is not what its digest was made of")
        if of and about.get("of", "") not in ("", of):
            raise ValueError("another run's")
        return _state(about, tensors), _best(about)
    except FileNotFoundError as error:
        raise RunError(f"expected a checkpoint at '{place}', got none; {cure}") from error
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, OverflowError, MemoryError) as error:
        said = " ".join(str(error).split())[:200]
        raise DamagedError(f"expected a whole checkpoint at '{place}', got a damaged one ({said}); {cure}") from error


def _state(about: Mapping[str, Any], tensors: Params) -> State:
    groups: dict[str, Params] = {group: {} for group in GROUPS}
    for key, value in tensors.items():
        group, name = key.split(":", 1)
        groups[group][name] = value
    if type(about["step"]) is not int or about["step"] < 0:
        raise ValueError(f"outer step {about['step']!r}")
    later = {name: about[name] for name in LATER if name in about}
    if not (isinstance(later.get("skipped", ""), str) and whole(later.get("in_a_row", 0)) >= 0):
        raise ValueError("odd words of the last step")
    if not 0 <= number(later.get("rate", 1.0)) <= 1 or type(later.get("gradient_norm", 0.0)) is not float:
        raise ValueError("an odd rate or norm")
    params, optimizer, first_head = (groups[group] for group in GROUPS)
    loss, accuracy = float(about["loss"]), float(about["accuracy"])
    return State(about["step"], params, optimizer, first_head, loss, accuracy, **later)


def _best(about: Mapping[str, Any]) -> Best:
    score, step = about["best_score"], whole(about["best_step"])
    if type(score) is not float or isnan(score) or step < -1:
        raise ValueError(f"a best score of {score!r} at outer step {step}")
    return Best(score, step)


def _digest(about: Mapping[str, Any], tensors: Params) -> str:
    """Return a digest of the metadata but for the digest itself, and of every tensor with its name, type and shape."""
    rest = {key: value for key, value in about.items() if key != "digest"}
    summed = sha256(json.dumps(rest, sort_keys=True).encode())
    for name, value in tensors.items():
        summed.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        summed.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return summed.hexdigest()
