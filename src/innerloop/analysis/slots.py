"""Does a learner know its classes by the slots they sit in: the same episode with its slots permuted.

A learner that reads its classes off the support set does as well under any labels. What it has memorised of slots is
lost when they are permuted. Nothing is lost under a zeroed head, or one whose rows are all equal.

Source: kao2022, appendix (fixed slots, channel memorisation); ye2022 (permutations of one task).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from innerloop.analysis.centroids import slots_of
from innerloop.data.episode import Episode, Examples
from innerloop.seeds import generator
from innerloop.statistics import Interval, mean_interval


@dataclass(frozen=True)
class Slots:
    """Query accuracy in [0, 1] over episodes, as they were drawn and with their slots permuted.

    Attributes:
        before: Before adaptation, as drawn.
        before_permuted: Before adaptation, slots permuted.
        after: After the last inner step, as drawn.
        after_permuted: Slots permuted before adaptation.
        survives_before: Share of the accuracy above chance that survives the permutation, before adaptation; None
            where there is none above chance to lose.
        survives: The same after adaptation.
    """

    before: Interval
    before_permuted: Interval
    after: Interval
    after_permuted: Interval
    survives_before: Interval | None
    survives: Interval | None


def permuted(episode: Episode, number: int) -> Episode:
    """Return the episode with one random permutation of its slots, the same for support and query.

    Args:
        episode: Targets are class slots.
        number: The probe's; the permutation is a function of it and of how many slots there are.
    """
    slots = slots_of(episode.support.targets)
    table = torch.arange(int(max(episode.support.targets.max(), episode.query.targets.max())) + 1)
    table[slots.cpu()] = slots.cpu()[torch.randperm(len(slots), generator=generator(number, "slots"))]
    return Episode(*(Examples(side.inputs, _looked_up(table, side.targets)) for side in episode))


def _looked_up(table: Tensor, targets: Tensor) -> Tensor:
    return table.to(targets.device)[targets]


def compared(accuracies: Sequence[tuple[float, float, float, float]], chance: Sequence[float]) -> Slots:
    """Return intervals over episodes.

    Args:
        accuracies: For each episode those before, before permuted, after, and after permuted.
        chance: What guessing has there.
    """
    before, before_permuted, after, after_permuted = zip(*accuracies, strict=True)
    return Slots(
        mean_interval(before),
        mean_interval(before_permuted),
        mean_interval(after),
        mean_interval(after_permuted),
        surviving(before_permuted, before, chance),
        surviving(after_permuted, after, chance),
    )


def surviving(left: Sequence[float], had: Sequence[float], chance: Sequence[float]) -> Interval | None:
    """Return mean(left - chance) / mean(had - chance) with its interval.

    A ratio of means, since one episode may have nothing above chance; its interval is that of the ratio linearised
    at the means (the delta method), which keeps the episodes paired.

    Returns:
        None where `had` is not above chance by more than its own interval: there is nothing to divide by.
    """
    part, whole = (np.asarray(each) - np.asarray(chance) for each in (left, had))
    if mean_interval(whole).low <= 0:
        return None
    ratio = part.mean() / whole.mean()
    return mean_interval(ratio + (part - ratio * whole) / whole.mean())
