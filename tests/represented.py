"""Made-up results of representation, for figures and sentences."""

import numpy as np

from agreements import scores
from innerloop.analysis.gathering import Gathering
from innerloop.analysis.representation import LOGITS, Frozen, Layer, Measure, Representation
from innerloop.statistics import equivalence, mean_interval

CKA = {"block1": 0.99, "block2": 0.9, LOGITS: 0.4}
FROZEN = {"": 0.0, "block1": 0.01, "block2": -0.1, LOGITS: -0.4}


def layer(name, cka, episodes=40):
    """A layer with this CKA, or that says the same of everything."""
    seen = None if cka is None else mean_interval(scores(cka, episodes=episodes))
    chance = None if cka is None else mean_interval(scores(0.1, episodes=episodes))
    directions = 0.0 if cka is None else 4.0 if name == LOGITS else 18.0
    return Layer(name, True, seen, chance, seen, chance, directions, 0.95, name == "block1")


def result(cka=CKA, frozen=FROZEN, nil=0.005, change=0.2, episodes=40, is_still=False, spread=1.0, steps=1):
    """A result with these likenesses, gaps to 60% accuracy by what is frozen last, and change of every measure."""
    everything = np.full(episodes, 0.6)

    def gap(size):
        return equivalence(everything + scores(size, episodes=episodes), everything, 0.02)

    def at(value):
        return None if value is None else mean_interval(scores(value, episodes=episodes))

    def measure(name):
        if spread is None:
            return Measure(name, None, None, None)
        return Measure(name, at(spread), at(spread + change), at(change))

    rows = tuple(Frozen(place, last, at(0.6 + size), gap(size)) for place, (last, size) in enumerate(frozen.items()))
    return Representation(
        adapts="all",
        inner_lr=0.4,
        inner_steps=steps,
        chance=0.2,
        queries=75,
        is_still=is_still,
        margin=0.02,
        accuracy=at(0.6),
        layers=tuple(layer(name, value, episodes) for name, value in cka.items()),
        frozen=rows if steps else (),
        nil=at(0.6 + nil),
        nil_gap=gap(nil),
        gathering=tuple(map(measure, Gathering._fields)),
    )


def still(**more):
    """A result of which no feature moves."""
    return result(dict.fromkeys(("block1", "block2"), 1.0) | {LOGITS: None}, is_still=True, change=0.0, **more)
