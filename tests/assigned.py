"""Made-up results of permutations, for figures and sentences."""

from innerloop.analysis.permutations import PARTS, Ensemble, Permutations
from innerloop.statistics import Interval


def interval(mean, episodes=30):
    return Interval(mean, 0.02 if episodes > 1 else float("inf"), episodes)


def result(breadth=0.2, mean=0.6, gain=0.05, head="own", episodes=30, is_all=True, probabilities=True, differ=0.3):
    """A result with these numbers, as if measured; a breadth of 0 is a learner that knows no slots."""
    is_one = breadth == 0

    def at(value):
        return interval(value, episodes)

    ensemble = Ensemble(at(mean + gain), at(gain))
    return Permutations(
        adapts="all",
        inner_lr=0.4,
        inner_steps=1,
        head=head,
        ways=5,
        tried=120 if is_all else 50,
        is_all=is_all,
        is_one=is_one,
        chance=0.2,
        as_drawn=at(mean),
        mean=at(mean),
        best=at(mean + breadth / 2),
        worst=at(mean - breadth / 2),
        breadth=at(breadth),
        spread=at(breadth / 4),
        disputed=at(0.0 if is_one else 0.8),
        differ=at(0.0 if is_one else differ),
        by_share=tuple(at(mean + breadth * (part / PARTS - 0.5)) for part in range(PARTS + 1)),
        logits=ensemble,
        probabilities=ensemble if probabilities else None,
    )
