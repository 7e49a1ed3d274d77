"""Tasks as points: whether a new task is a combination of seen ones, and whether that tells how well it will go."""

from collections.abc import Mapping

from innerloop.analysis.tasks import Residuals, Tasks
from innerloop.report.words import listed, number, share
from innerloop.statistics import Correlation

TITLE = "Tasks as points: is a new one a combination of seen ones"
EMBEDDINGS = {
    "direction": "the direction the encoder adapts in",
    "gradient": "the support gradient of the encoder",
    "fisher": "the diagonal Fisher information of the encoder",
}
MOST = 0.5  # of its length; a task of which more is left is mostly something else than its neighbours


def say(results: Mapping[str, Tasks]) -> str:
    """Say for each run how much of a new task its neighbours explain, beside controls, and what that predicts."""
    return "\n".join(_run(label, each) for label, each in results.items())


def captions(results: Mapping[str, Tasks]) -> dict[str, str]:
    """Return a caption for every figure."""
    first = next(iter(results.values()))
    said = {
        "residuals": "What a non-negative combination of neighbours leaves of a task's embedding, in percent of its "
        "length, with 95% intervals over episodes: of new tasks, of their images with labels dealt at random, of new "
        "tasks by random tasks of the bank in the place of neighbours, and of random directions. By ridge regression "
        f"{listed([f'{share(each.ridge.task)} is left for the {label}' for label, each in results.items()])}. "
        f"{first.neighbours} random vectors leave {100 * first.random:.0f}%. {_embedded(first)}",
        "prediction": "Every new task's unexplained part and its accuracy. "
        + " ".join(_told(label, each.nonnegative.with_accuracy) for label, each in results.items()),
    }
    if any(each.map for each in results.values()):
        label = next(label for label, each in results.items() if each.map)
        said["map"] = (
            f"Tasks of the {label} by t-SNE on the cosines of their embeddings: new ones in the colour of their "
            f"accuracy, {len(results[label].map.bank)} of the bank in grey, "  # type: ignore[union-attr]
            "and a few of both with one support image of each class. Neighbours stay together; distances between "
            "groups mean little."
        )
    related = next((label for label, each in results.items() if each.related), None)
    if related is not None:
        said["neighbours"] = (
            f"New tasks of the {related}, and below each the training tasks that weigh most in its non-negative "
            "combination, with one support image of each class."
        )
    return said


def _run(label: str, result: Tasks) -> str:
    left, one = result.nonnegative, result.accuracy.observations == 1
    verdict = "of one new task" if one else f"{_verdict(left)}:"
    about = (
        f"For the {label}, {verdict} the {result.neighbours} nearest of {result.bank} training tasks leave "
        f"{share(left.task)}, {result.neighbours} random ones {share(left.others)}, and {share(left.shuffled)} is left "
        "of images with labels that mean nothing."
    )
    if one:
        return f"{about} One episode tells no more."
    return f"{about} {_worth(left)} {_told(label, left.with_accuracy)}"


def _verdict(left: Residuals) -> str:
    """Say whether neighbours explain a task, and whether better than tasks that are not near."""
    if left.below_others.low <= 0:
        return "a new task is no more a combination of its neighbours than of random seen tasks"
    if left.below_shuffled.low <= 0:
        return "a new task is no more a combination of seen ones than its images are with labels that mean nothing"
    return f"a new task is {'mostly' if left.task.mean < MOST else 'only partly'} a combination of seen ones"


def _worth(left: Residuals) -> str:
    """Say whether labels are worth anything, in points, beside what random ones leave."""
    gain = left.below_shuffled
    points = f"{100 * gain.mean:.1f} ± {100 * gain.half_width:.1f} points"
    if gain.low > 0:
        return f"That the labels mean something makes it {points} better."
    if gain.high < 0:
        points = f"{100 * -gain.mean:.1f} ± {100 * gain.half_width:.1f} points"
        return f"Labels that mean nothing are fitted better, by {points}."
    return f"Whether labels mean something makes no difference that is told from none ({points})."


def _told(label: str, found: Correlation | None) -> str:
    """Say whether what is left predicts accuracy."""
    if found is None:
        return f"Whether what is left tells the accuracy cannot be said of so few episodes for the {label}."
    numbers = f"rank correlation {found.value:.2f}, 95% interval {found.low:.2f} to {found.high:.2f}"
    if not found.is_told:
        return f"What is left is not shown to tell the accuracy of a task for the {label} ({numbers})."
    way = "worse" if found.value < 0 else "better"
    return f"Tasks of which more is left are solved {way} by the {label} ({numbers})."


def _embedded(result: Tasks) -> str:
    said = (
        f"A task is {EMBEDDINGS[result.embedding]} ({result.parameters} parameters) from a zero head, after which no "
        f"slot is told from another; {result.steps} inner steps, of which the first moves the head alone."
    )
    if result.embedding != result.asked:
        said += " The encoder stays where it is in this inner loop, so that its gradient stands for the direction."
    if result.dimensions < result.parameters:
        said += (
            f" Projected to {result.dimensions} dimensions, which blurs a cosine by {result.dimensions**-0.5:.2f}; the "
            f"nearest of the bank has {number(result.nearest)}, and {number(result.nearest_shuffled)} where labels "
            "mean nothing."
        )
    return said
