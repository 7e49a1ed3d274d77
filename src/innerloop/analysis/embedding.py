"""What is a task, as one vector: what its support set asks of the encoder, whichever slots its classes sit in.

    head       zero, then one inner step; the encoder stands still in it, as W^T E is 0
    gradient   d support_loss / d encoder at that head
    direction  encoder after one inner step more (or after all the learner takes, if these are more) - encoder before
    fisher     mean over support examples of  sum_y p(y) (d log p(y) / d encoder)^2,  elementwise, at that head

From a zero head a permutation of the slots permutes the head's rows and nothing else, so that the encoder's part is the
same for every one of them. A head as training left it would make one task look like as many as there are orders of its
slots; it is set aside, and only the encoder's parameters are the learner's own.

    sketched[place[i]] += sign[i] * vector[i]        for random places and signs, the same for all tasks

keeps inner products in the mean, with a standard deviation of about (length times length) / sqrt(dimensions).

Source: achille2019 (Task2Vec), section 2, for the Fisher, which here has the label drawn from the head summed over;
charikar2002 for the sketch; THEORY D1 and C3 for the head.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from innerloop.algorithms import Algorithm
from innerloop.data.episode import Episode, Examples, require_classes
from innerloop.errors import ConfigError
from innerloop.inner.gradient import final_gradient
from innerloop.params import flat
from innerloop.seeds import generator
from innerloop.shapes import Params

Kind = Literal["direction", "gradient", "fisher"]
Vector = Float[Tensor, " parameter"]
Embedding = Float[Tensor, " dimension"]


class Sketch(NamedTuple):
    """A random projection to fewer numbers.

    Attributes:
        places: Where each number of a vector goes.
        signs: With which sign, -1 or 1.
        dimensions: How many places there are.
    """

    places: Int[Tensor, " parameter"]
    signs: Float[Tensor, " parameter"]
    dimensions: int

    def __call__(self, vector: Vector) -> Embedding:
        """Return the sketch of a vector."""
        return vector.new_zeros(self.dimensions).index_add_(0, self.places, vector * self.signs.to(vector.dtype))


def sketch(parameters: int, dimensions: int) -> Sketch | None:
    """Return the projection for vectors of so many numbers; None where there are no more than dimensions anyway."""
    if parameters <= dimensions:
        return None
    rng = generator(0, "sketch", parameters, dimensions)
    places = torch.randint(dimensions, (parameters,), generator=rng)
    return Sketch(places, torch.randint(2, (parameters,), generator=rng) * 2.0 - 1, dimensions)


def settled(algorithm: Algorithm, kind: Kind) -> Kind:
    """Return the kind that there is for this algorithm: an encoder that stays has no direction, but has a gradient.

    Raises:
        ConfigError: There is no encoder to ask anything of, or no step of the head, or no likelihood for a Fisher.
    """
    learner = algorithm.learner
    if not learner.encoder_params(learner.initial_params()):
        raise ConfigError(
            "expected an encoder with parameters to embed tasks by, got none; explain a learner that has one"
        )
    if algorithm.inner.learned_rates not in ("none", "one") and not learner.head_names <= algorithm.names:
        raise ConfigError(
            f"expected a rate for the head to embed tasks by, got learned rates where the head stays "
            f"(adapts={algorithm.adapts}); explain a run whose head adapts"
        )
    if kind == "fisher" and algorithm.inner.loss != "cross_entropy":
        raise ConfigError(
            f"expected inner.loss=cross_entropy for the Fisher of a task, got {algorithm.inner.loss_name}; embed by "
            "gradient or direction"
        )
    return "gradient" if kind == "direction" and not algorithm.names - learner.head_names else kind


def steps_of(algorithm: Algorithm, kind: Kind) -> int:
    """Return how many inner steps an embedding goes from a zero head; a gradient counts as the step it would make."""
    return max(2, algorithm.inner.steps) if kind == "direction" else 2


def embed(kind: Kind, projection: Sketch | None, algorithm: Algorithm, params: Params, episode: Episode) -> Embedding:
    """Return a task's embedding, of length 1, in float32; zeros where the task asks nothing of the encoder.

    Args:
        kind: As `settled` gave it.
        projection: As `sketch` gave it.
        algorithm: As at test.
        params: The meta-parameters.
        episode: Its support set is the task; no query is looked at.
    """
    require_classes(episode.support, "to embed")
    vector = VECTORS[kind](algorithm, params, episode.support).double()
    # Of one length before they are projected, so that sizes cannot overflow; the projection changes lengths a little.
    vector = _unit(vector)
    return _unit(vector if projection is None else projection(vector)).float()


def _by_name(values: Params) -> Vector:
    """Return all numbers in the order of their names, which does not depend on where parameters were read from."""
    return flat(dict(sorted(values.items())))


def _unit(vector: Tensor) -> Tensor:
    size = vector.norm()
    return vector / size if size > 0 else vector


def _started(algorithm: Algorithm, steps: int) -> Algorithm:
    """Return the algorithm with a head that starts at zero and adapts, whatever else does."""
    moving = algorithm.names | algorithm.learner.head_names
    return replace(algorithm, names=moving).with_inner(start="zero", steps=steps)


def _direction(algorithm: Algorithm, params: Params, support: Examples) -> Vector:
    after = _started(algorithm, steps_of(algorithm, "direction")).adapted(params, support)
    encoder = algorithm.learner.encoder_params(params)
    return _by_name({name: (after[name] - value).detach() for name, value in encoder.items()})


def _gradient(algorithm: Algorithm, params: Params, support: Examples) -> Vector:
    here = _started(algorithm, 1).adapted(params, support)

    def support_loss(moving: Params) -> tuple[Tensor, Tensor]:
        return algorithm.support_loss({**here, **moving}, support)

    return _by_name(final_gradient(support_loss, algorithm.learner.encoder_params(here))[0])


def _fisher(algorithm: Algorithm, params: Params, support: Examples) -> Vector:
    here = _started(algorithm, 1).adapted(params, support)
    encoder = algorithm.learner.encoder_params(here)
    leaves = {name: encoder[name].detach().requires_grad_() for name in sorted(encoder)}
    with torch.enable_grad():
        logs = F.log_softmax(algorithm.learner.logits({**here, **leaves}, support.inputs), 1)
        likely = logs.detach().exp()
        total = flat(encoder).new_zeros(())
        for example in range(len(logs)):
            for slot in range(logs.shape[1]):
                parts = torch.autograd.grad(
                    logs[example, slot],
                    list(leaves.values()),
                    retain_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
                # Each is one likelihood's, so that squares are taken before anything is summed.
                square = torch.cat([part.reshape(-1) for part in parts]).square()
                total = total + likely[example, slot] * square
    return total.detach() / len(logs)


VECTORS = {"direction": _direction, "gradient": _gradient, "fisher": _fisher}
