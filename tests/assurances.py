"""Results of `tasks` and `confidence` as no run gave them, to draw and to tell."""

from dataclasses import replace

import numpy as np

from innerloop.analysis.confidence import Bounded, Confidence, Coverage, Level, Representation, Score
from innerloop.analysis.tasks import Neighbour, Placed, Related, Residuals, Shown, TaskMap, Tasks
from innerloop.data.pictures import to_text
from innerloop.statistics import Correlation, Interval, Share


def interval(mean, width=0.01, observations=40):
    return Interval(mean, width, observations)


PICTURE = to_text(np.linspace(0, 1, 784, dtype=np.float32).reshape(1, 28, 28))


def shown(number=0, pictures=3):
    return Shown(number, ("Gujarati/character27", "plain", "a/Old_Church_(Cyr)/character01"), (PICTURE,) * pictures)


FALLING = Correlation(-0.4, -0.6, -0.2, 12)


def residuals(task=0.9, shuffled=0.92, gap=0.02, told=FALLING, observations=12):
    each = [interval(mean, 0.01, observations) for mean in (task, 0.97, shuffled, 0.98)]
    return Residuals(*each, interval(0.07, 0.01, observations), interval(gap, 0.01, observations), told)


def related(pictures=3, observations=12, **changes):
    points = tuple((0.8 + 0.01 * number, 0.5 + 0.02 * number) for number in range(observations))
    one = Related(shown(5, pictures), 0.9, 0.64, (Neighbour(shown(8, pictures), 0.3, 0.2),))
    placed = (Placed(shown(5, pictures), (0.0, 1.0), True),) if pictures else ()
    places = tuple((float(number), float(-number)) for number in range(observations))
    mapped = TaskMap(places[:4], places, tuple(right for _, right in points), placed)
    accuracy = interval(0.6, 0.01, observations)
    few = interval(29.0, 0.01, observations)
    base = Tasks(
        "direction",
        "direction",
        2,
        91456,
        2048,
        1000,
        "omniglot (train)",
        32,
        accuracy,
        residuals(observations=observations),
        residuals(0.89, observations=observations),
        0.992,
        few,
        interval(0.2, 0.01, observations),
        interval(0.18, 0.01, observations),
        points,
        (one,),
        mapped,
    )
    return replace(base, **changes)


def coverage(held, low, high, bound=0.7, gain=0.02, observations=40):
    return Coverage(
        Share(held, low, high, observations),
        Share(held, low, high, observations),
        interval(bound, 0.01, observations),
        interval(gain, 0.01, observations),
    )


def level(value=0.9, explained=(0.8, 0.7, 0.88), gain=0.02, is_enough=True, observations=40):
    home = coverage(0.92, 0.85, 0.97, gain=gain, observations=observations)
    return Level(value, 9, is_enough, 0.68, home, coverage(*explained, observations=observations))


REPRESENTATION = Representation(
    100,
    2000,
    5,
    1,
    0.8,
    0.4,
    (Bounded("line", 0.5, 0.06), Bounded("spread", 1.0, 0.06), Bounded("shots", 1.0, 0.2)),
    0.9,
)
TOLD = Correlation(0.4, 0.2, 0.6, 40)


def sure(**changes):
    points = tuple((0.6 + 0.005 * number, 0.5 + 0.01 * number) for number in range(40))
    base = Confidence(
        "typeface (validation)",
        "digits (test)",
        False,
        200,
        150,
        ("left_out", "separation"),
        interval(0.8),
        interval(0.7),
        0.25,
        (Score("margin", TOLD, None), Score("predicted", TOLD, TOLD)),
        (level(0.8), level()),
        points,
        points,
        interval(0.4),
        interval(0.05),
        0.0,
        REPRESENTATION,
    )
    return replace(base, **changes)
