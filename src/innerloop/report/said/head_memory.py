"""What trains the encoder: a memory of earlier batches in the head, or the head that the inner loop began with."""

from collections.abc import Mapping

from innerloop.analysis.head_memory import HeadMemory
from innerloop.figures.head_memory import by_batch, over_training
from innerloop.report.words import listed, share
from innerloop.statistics import Interval

TITLE = "The head's memory: what the encoder is trained by"


def say(results: Mapping[str, HeadMemory]) -> str:
    """Say for each run how much of its training signal is contrast, which signs that has, and how it changed."""
    said = []
    for label, each in results.items():
        if each.share is None:
            said.append(f"Nothing in the {label}'s inner loop trains its encoder: its head says nothing of features.")
            continue
        said.append(" ".join([_signal(label, each), *_signs(each), *_changed(each)]))
    return "\n".join(said)


def captions(results: Mapping[str, HeadMemory]) -> dict[str, str]:
    """Return a caption for every figure."""
    said = {
        "share": "What makes the gradient at the features that the encoder is trained by: the contrast with batches "
        "that the head remembers from the same inner loop, beside the head from before it. Of the norms: contrast / "
        "(contrast + head before); along the gradient: the part of its square that the contrast accounts for. Right: "
        "the share of coefficients that draw an example to earlier ones, of its class and of others. With 95% "
        f"intervals over {_what(results)}."
    }
    if by_batch(results):
        said["by_batch"] = (
            "The share by batch of the inner loop: the first has none before it to contrast with. For Reptile and "
            "Entropy-SGD every batch trains the encoder, for the others the last, the query set."
        )
    if over_training(results):
        said["over_training"] = "The same share over training, at the outer steps whose parameters the run kept."
    return said


def _signal(label: str, each: HeadMemory) -> str:
    if each.interference.mean == 0:
        found = "is contrast with remembered examples alone"
    elif each.contrast.mean == 0:
        found = "has no contrast with remembered examples: all of it comes from the head before the inner loop"
    else:
        found = f"is contrast with remembered examples for {_known(each.share)} of the norms"
        found += f" ({_known(each.along)} along the gradient), and else of the head before the inner loop"
    rest = each.rest.mean / (each.contrast.mean + each.interference.mean)
    noise = f"; noise in the head adds {100 * rest:.2g}% of both" if rest > 1e-6 else ""
    return f"What trains the {label}'s encoder {found}{noise}."


def _signs(each: HeadMemory) -> list[str]:
    if each.attracting_same is None or each.attracting_other is None:
        return []
    return [
        f"It draws to {share(each.attracting_same)} of the examples of the same class and to "
        f"{share(each.attracting_other)} of others."
    ]


def _changed(each: HeadMemory) -> list[str]:
    """Say the share at the start and at the end of what was kept, where it is not the same all the way."""
    kept = [(then.step, then.share) for then in each.over_training if then.share is not None]
    if len(kept) < 2 or kept[0][1] == kept[-1][1]:
        return []
    ends = listed([f"{share(found)} after {step} outer steps" for step, found in (kept[0], kept[-1])])
    return [f"Over training the share was {ends}."]


def _known(interval: Interval | None) -> str:
    return "an unknown share" if interval is None else share(interval)


def _what(results: Mapping[str, HeadMemory]) -> str:
    joint = [each.is_joint for each in results.values()]
    return "inner loops" if all(joint) else "episodes" if not any(joint) else "episodes or inner loops"
