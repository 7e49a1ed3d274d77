"""The meta-gradient where the encoder stands still in the inner loop: features once, and all inner steps on them.

    features = encoder(inputs)                                            once for each side of the episode
    d/d params  L_query(adapt(head; support features); query features)    through the features

Exact where only the head adapts, for any inner rule and number of steps, and where nothing is left to adapt. Exact too
for one step of all parameters from a zeroed head: weight.T @ residual is then 0, so that the encoder does not move, nor
does its step depend on where it is. What the encoder's step owes to the *head* is left out there; under the zeroing
trick nobody follows the head's gradient, which is returned as 0.

With weights that are the same for all tasks, convolutions stay ordinary ones when an engine maps this over tasks.
Source: kao2022, section 3 and appendix (EFIL); that it is a fact for the zeroed head is ours (THEORY: D1 to D3).
"""

from dataclasses import replace

from torch import Tensor

from innerloop.algorithms.algorithm import Algorithm, MetaGradient
from innerloop.algorithms.outer import outer_loss
from innerloop.data.episode import Episode, Examples
from innerloop.inner import accuracy, final_gradient
from innerloop.params import zeroed
from innerloop.shapes import Params, Scalar


def meta_gradient(algorithm: Algorithm, params: Params, episode: Episode, step: int) -> MetaGradient:
    """Return the gradient of the adapted query loss, with the encoder run once on each side.

    Exact for algorithms of which `departure` says nothing.
    """
    learner = algorithm.learner
    head = replace(algorithm, learner=learner.head_alone(), names=algorithm.names & learner.head_names)
    second = algorithm.order_at(step) == "second"

    def adapted_loss(start: Params) -> tuple[Scalar, Tensor]:
        (support, slots), (query, answers) = episode
        seen = learner.features(start, support)
        if not second and head.inner.start in ("params", "zero"):
            seen = seen.detach()
        features = Episode(Examples(seen, slots), Examples(learner.features(start, query, reference=support), answers))
        path = head.adapt(start, features.support, differentiable=second).params
        return outer_loss(head, path, features, step)

    gradient, (loss, logits) = final_gradient(adapted_loss, params)
    if head.names != algorithm.names:
        gradient = zeroed(gradient, learner.head_names)
    return MetaGradient(gradient, loss, accuracy(logits, episode.query.targets))


def departure(algorithm: Algorithm) -> str | None:
    """Return why the closed form is not this algorithm's meta-gradient, or None where it is."""
    axes, inner, learner = algorithm.axes, algorithm.inner, algorithm.learner
    if axes.order not in ("first", "second"):
        return f"its order is '{axes.order}'"
    if axes.objective != "query_loss":
        return f"its objective is '{axes.objective}'"
    if axes.per_step_norms:
        return "the encoder's norms change between inner steps"
    if not inner.steps or algorithm.names <= learner.head_names:
        return None
    if not (axes.head == "zeroing" and axes.head_every == 1):
        return f"the encoder adapts (adapts={axes.adapts}) and the head is not zero in every outer step"
    if inner.steps != 1:
        return f"the encoder moves from the second inner step on (inner.steps={inner.steps})"
    if inner.rule != "sgd":
        return f"the inner rule is '{inner.rule}'"
    return None
