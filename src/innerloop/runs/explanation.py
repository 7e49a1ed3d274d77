"""An explanation kept in a run: what was measured, as plain values, with what a reader needs to repeat it."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from innerloop.data import DataConfig
from innerloop.data.episode import EpisodeShape, spelled
from innerloop.errors import ConfigError, RunError
from innerloop.plain import LARGEST_RESULTS, made, read_json
from innerloop.runs.files import make_folder, name_of, refuse_links, write_whole

FOLDER, RESULT = "explained", "result.json"
FORMAT = 1
LONGEST = 24  # letters of a setting


@dataclass(frozen=True, eq=False)
class KeptExplanation:
    """What one analysis of one checkpoint gave.

    Attributes:
        analysis: Which.
        command: What made it.
        checkpoint: `best` or `last`.
        step: After how many outer steps that checkpoint was taken.
        data: Which data set, and how it is cut.
        split: Name of the side the episodes come from.
        shape: Ways, shots, queries.
        episodes: How many.
        seed: Whose episodes.
        inner_lr: Rate of adaptation at test.
        inner_steps: Inner steps at test.
        transductive: Whether query examples were normalised by one another.
        settings: The analysis's own.
        values: Its result, as `innerloop.analysis.values` reads it back.
    """

    analysis: str
    command: str
    checkpoint: str
    step: int
    data: DataConfig
    split: str
    shape: EpisodeShape
    episodes: int
    seed: int
    inner_lr: float
    inner_steps: int
    transductive: bool
    settings: dict[str, Any]
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """What tells this explanation apart from the run's others, as the name of its folder."""
        facts = (
            self.analysis,
            self.data.name,
            self.split,
            self.shape,
            f"{spelled(self.shape.n_queries)} queries",
            f"{self.episodes} episodes",
            f"seed {self.seed}",
            f"{self.inner_steps} steps",
            f"lr {self.inner_lr!r}",
            *(f"{name} {_short(value)}" for name, value in self.settings.items()),
            self.checkpoint,
        )
        return name_of("-".join(str(fact).replace(" ", "-").replace(",", "") for fact in facts))


def _short(value: Any) -> str:
    """Return a setting as it is, or a long one by its digest: folders have names of at most 255 letters."""
    text = str(value)
    return text if len(text) <= LONGEST else sha256(text.encode()).hexdigest()[:8]


def made_folder(folder: Path, kept: KeptExplanation) -> Path:
    """Return the folder of its own that an explanation has in a run's; it is made where there is none.

    Raises:
        DiskError: It cannot be made.
        RunError: It lies elsewhere.
    """
    place = folder / FOLDER / kept.name
    refuse_links(place.parent, place)
    make_folder(place, parents=True)
    return place


def keep(folder: Path, kept: KeptExplanation) -> Path:
    """Write an explanation into a folder of its own in the run's, and return where.

    Raises:
        DiskError: The run cannot be written.
    """
    place = made_folder(folder, kept) / RESULT
    write_whole(place, json.dumps({"format": FORMAT, **asdict(kept)}, allow_nan=False, ensure_ascii=False) + "\n")
    return place


def kept_in(folder: Path) -> list[KeptExplanation]:
    """Read all explanations of a run, in the order of their names.

    Raises:
        RunError: One is damaged.
    """
    return [_read(place) for place in sorted((folder / FOLDER).glob(f"*/{RESULT}"))]


def _read(place: Path) -> KeptExplanation:
    try:
        values = read_json(place, LARGEST_RESULTS)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError("another format")
        named = {each: values.get(each) for each in ("settings", "values")}
        if not all(isinstance(each, dict) for each in named.values()):
            raise ValueError("settings and values that have no names")
        return made(KeptExplanation, values, ready=named)
    except (OSError, ValueError, ConfigError) as error:
        raise RunError(f"expected an explanation in '{place}', got something else ({error}); explain again") from error
