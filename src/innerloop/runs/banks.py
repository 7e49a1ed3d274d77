"""banks/: tasks of the training classes as vectors, one file for every model and way to make them.

A bank belongs to what made it. All of that stands in the file as words, by name, and a bank whose words are others' is
refused: vectors of another model lie in another space, and look like any others.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from innerloop.errors import RunError
from innerloop.plain import parse_json
from innerloop.runs.files import make_folder, refuse_links, write_whole

FORMAT = 1
About = Mapping[str, str]


def place_of(folder: Path, about: About) -> Path:
    """Return where in a run's folder of banks the one that these words tell of is kept."""
    return folder / f"bank-{sha256(json.dumps(dict(about), sort_keys=True).encode()).hexdigest()[:12]}.safetensors"


def write(place: Path, vectors: Tensor, about: About) -> None:
    """Keep a bank, vectors [task dimension], with the words of what made it.

    Raises:
        DiskError: It cannot be written.
        RunError: Its folder lies elsewhere.
    """
    refuse_links(place.parent)
    make_folder(place.parent)
    words = json.dumps({"format": FORMAT, "about": dict(about)}, sort_keys=True)
    write_whole(place, save({"vectors": vectors.contiguous()}, {"innerloop": words}))


def read(place: Path, about: About) -> Tensor:
    """Read a bank's vectors [task dimension].

    Raises:
        RunError: There is none, it is damaged, or it was made of something else than these words say.
    """
    try:
        if not place.is_file():
            raise ValueError("no file")  # opening a pipe would wait for somebody to write into it
        with safe_open(place, framework="pt") as file:
            words = parse_json((file.metadata() or {})["innerloop"])
            if words["format"] != FORMAT:
                raise ValueError("another format")
            theirs, vectors = dict(words["about"]), file.get_tensor("vectors")
        if vectors.ndim != 2 or vectors.dtype != torch.float32 or not bool(torch.isfinite(vectors).all()):
            raise ValueError("other vectors than finite ones of float32")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"expected a bank of tasks at '{place}', got something else ({' '.join(str(error).split())}); leave "
            "bank_from out, or delete the file, and one is made"
        ) from error
    for name, own in about.items():
        if theirs.get(name) != own:
            raise RunError(
                f"expected a bank whose {name} is {own}, got one whose {name} is {theirs.get(name)} at "
                f"'{place}'; use one of the same model and settings, or leave bank_from out and one is made"
            )
    found: Tensor = vectors
    return found
