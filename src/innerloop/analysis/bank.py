"""A bank of tasks from the training classes, as vectors: built once, kept in the run, searched by cosine.

Task number `n` of a bank is a pure function of the learner's data, the episodes' shape and `n`: a bank keeps vectors
alone, and its classes and examples are drawn again where somebody wants to see them. A longer bank begins with the
shorter one, and goes on from it.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.analysis.combination import Vectors
from innerloop.analysis.embedding import Embedding, Kind, embed, settled, sketch
from innerloop.analysis.subject import Probe, Subject, together
from innerloop.data.episode import Episode, stacked
from innerloop.data.split import TRAIN, Split
from innerloop.engine import Chosen, EngineConfig
from innerloop.errors import ConfigError, DivergedError, RunError
from innerloop.params import count as size_of
from innerloop.params import digest
from innerloop.runs import banks
from innerloop.shapes import Params

STREAM = "bank"


@dataclass(frozen=True, eq=False)
class Embedder:
    """How one learner's tasks become vectors.

    Attributes:
        engine: Maps over episodes.
        params: The meta-parameters.
        kind: Of embedding, as there is for this learner.
        parameters: Numbers of the encoder that an embedding is made of.
        dimensions: Numbers it is projected to; no more than `parameters`.
        make: Maps (algorithm, params, episode) to a vector.
    """

    engine: Chosen
    params: Params
    kind: Kind
    parameters: int
    dimensions: int
    make: Callable[[Algorithm, Params, Episode], Embedding]

    def __call__(self, episodes: list[Episode]) -> Tensor:
        """Return the embeddings of episodes [task dimension].

        Raises:
            DivergedError: One is not finite.
            ConfigError: One asks nothing of the encoder.
        """
        vectors = self.engine.each(self.make, self.params, stacked(episodes))
        sizes = vectors.norm(dim=1)
        if not bool(torch.isfinite(sizes).all()):
            raise DivergedError(
                f"expected finite gradients to embed tasks by, got NaN or infinity at rate "
                f"{self.engine.algorithm.inner.lr:g}; try a smaller rate"
            )
        if bool((sizes == 0).any()):
            raise ConfigError(
                "expected tasks that ask something of the encoder, got a support loss that does not depend on it; "
                "explain with an inner rate other than 0"
            )
        return vectors


def embedder(subject: Subject, kind: Kind, dimensions: int) -> Embedder:
    """Return what embeds the tasks of a learner, with the inner loop of the test.

    Raises:
        ConfigError: There is nothing to embed them by.
    """
    algorithm = subject.tested
    chosen = settled(algorithm, kind)
    parameters = size_of(algorithm.learner.encoder_params(subject.params))
    make = partial(embed, chosen, sketch(parameters, dimensions))
    engine = Chosen(EngineConfig().of_tests, algorithm)
    return Embedder(engine, subject.params, chosen, parameters, min(dimensions, parameters), make)


@dataclass(frozen=True, eq=False)
class Bank:
    """Embeddings of tasks [task dimension], each of length 1, and what finds the nearest of them."""

    vectors: NDArray[np.float32]

    def nearest(self, targets: Vectors, count: int) -> NDArray[np.int64]:
        """Return the tasks of the largest cosine to each target [target dimension], as numbers [target count].

        All vectors have length 1, so that one matrix product orders them: in so many dimensions no tree is faster than
        looking at all, and scikit-learn's search, which takes the lengths anew at every query, is ten times slower.
        """
        order: NDArray[np.int64] = np.argsort(-(targets.astype(np.float32) @ self.vectors.T), axis=1, kind="stable")
        return order[:, :count]

    def some(self, numbers: NDArray[np.int64]) -> Vectors:
        """Return the tasks of these numbers [number dimension]."""
        return self.vectors[numbers].astype(np.float64)


def bank(subject: Subject, made: Embedder, count: int, source: str | None = None) -> Bank:
    """Return a bank of so many tasks of the training classes: read, lengthened where it is too short, and kept.

    Args:
        subject: Whose; a learner without a run keeps none.
        made: How its tasks become vectors.
        count: At least 1.
        source: A file to take it from instead; nothing is added to that.

    Raises:
        RunError: The source is another model's, or too short.
        ConfigError: It is not known what the learner was trained on.
    """
    about = described(subject, made)
    if source is not None:
        given = banks.read(Path(source), about)
        if len(given) < count:
            raise RunError(
                f"expected a bank of at least {count} tasks, got {len(given)} at '{source}'; ask for fewer, or leave "
                "bank_from out"
            )
        return Bank(given[:count].numpy())
    place = None if subject.run is None else banks.place_of(subject.run.directory.banks, about)
    known = torch.zeros(0, made.dimensions)
    if place is not None and place.exists():
        known = banks.read(place, about)
    if len(known) < count:
        indices: Iterable[int] = subject.watch("bank of tasks", range(len(known), count))
        several = together(subject.at_home(TRAIN, STREAM, indices))
        known = torch.cat([known, *(made([probe.episode for probe in group]) for group in several)])
        if place is not None:
            banks.write(place, known, about)
    return Bank(known[:count].numpy())


def member(subject: Subject, number: int) -> Probe:
    """Draw a bank's task again, for those who want to see it."""
    (probe,) = subject.at_home(TRAIN, STREAM, [number])
    return probe


def described(subject: Subject, made: Embedder) -> dict[str, str]:
    """Return all that decides a bank's vectors, in words by name."""
    algorithm, home = subject.tested, subject.own(TRAIN)
    inner = asdict(replace(algorithm.inner, loss="cross_entropy")) | {"loss": algorithm.inner.loss_name}
    return {
        "model": digest(subject.params[name] for name in sorted(subject.params)),
        "normalization": algorithm.learner.normalization,
        "adaptation": json.dumps({"adapts": algorithm.adapts, **inner}, sort_keys=True),
        "data": f"{home.data_set} {home.name} {(home.content or '') if isinstance(home, Split) else ''}".strip(),
        "episodes": str(subject.shape),
        "queries": "" if subject.shape is None else str(subject.shape.n_queries),
        "embedding": made.kind,
        "dimensions": str(made.dimensions),
    }
