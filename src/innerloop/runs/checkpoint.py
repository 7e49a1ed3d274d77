"""A training state as one safetensors file: tensors and a line of metadata, nothing that can run code."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from innerloop.errors import RunError
from innerloop.runs.files import write_whole
from innerloop.shapes import Params
from innerloop.training import State

FORMAT = 1
GROUPS = ("params", "optimizer", "first_head")
LATER = ("skipped", "in_a_row", "rate", "gradient_norm")  # what files from before they were there lack


@dataclass(frozen=True)
class Best:
    """The best meta-validation score so far (accuracy, or minus the loss of real targets), and its outer step."""

    score: float = float("-inf")
    step: int = -1


def write_checkpoint(place: Path, state: State, best: Best) -> None:
    """Write a state whole or not at all."""
    tensors = {f"{group}:{name}": value.clone() for group in GROUPS for name, value in getattr(state, group).items()}
    about = {
        "format": FORMAT,
        "step": state.step,
        "loss": state.loss,
        "accuracy": state.accuracy,
        **{name: getattr(state, name) for name in LATER},
        "best_score": best.score,
        "best_step": best.step,
        # safetensors sorts what it holds; sums over parameters round by their order.
        "order": list(tensors),
    }
    # One key, since safetensors writes several in no fixed order, and equal states should be equal bytes.
    write_whole(place, save(tensors, {"innerloop": json.dumps(about)}))


def read_checkpoint(place: Path) -> tuple[State, Best]:
    """Read a state back.

    Raises:
        RunError: The file is missing, damaged or of another format.
    """
    groups: dict[str, Params] = {group: {} for group in GROUPS}
    try:
        with safe_open(place, framework="pt") as file:
            about = json.loads((file.metadata() or {})["innerloop"])
            if about["format"] != FORMAT:
                raise RunError(
                    f"expected a checkpoint of format {FORMAT} at '{place}', got {about['format']}; "
                    "open it with the version of innerloop that wrote it"
                )
            for key in about.get("order", file.keys()):
                group, name = key.split(":", 1)
                groups[group][name] = file.get_tensor(key)
        best = Best(about["best_score"], about["best_step"])
        params, optimizer, first_head = (groups[group] for group in GROUPS)
        later = {name: about[name] for name in LATER if name in about}
        return State(about["step"], params, optimizer, first_head, about["loss"], about["accuracy"], **later), best
    except FileNotFoundError as error:
        raise RunError(f"expected a checkpoint at '{place}', got none; train the run first") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(
            f"expected a whole checkpoint at '{place}', got a damaged one ({' '.join(str(error).split())}); "
            "copy the run's other checkpoint over it to go on from there, or train again"
        ) from error
