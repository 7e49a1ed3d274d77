"""Results of `head_memory` as no run gave them, to draw and to tell."""

from dataclasses import replace

from innerloop.analysis.head_memory import HeadMemory, Then
from innerloop.statistics import Interval


def of(mean):
    return Interval(mean, 0.01, 5)


LOOPED = HeadMemory(
    "entropy",
    True,
    3,
    0.01,
    of(0.1),
    of(0.9),
    of(0.0),
    of(0.1),
    of(0.05),
    (of(0.0), of(0.1), of(0.2)),
    of(1.0),
    of(0.6),
    (Then(0, of(0.03)), Then(1, None), Then(50, of(0.1))),
)
SINGLE = replace(LOOPED, order="first", is_joint=False, batches=2, by_batch=(None, of(0.4)), over_training=())
SILENT = replace(
    LOOPED,
    contrast=of(0.0),
    interference=of(0.0),
    share=None,
    along=None,
    by_batch=(None,) * 3,
    attracting_same=None,
    attracting_other=None,
    over_training=(Then(0, None), Then(50, None)),
)
