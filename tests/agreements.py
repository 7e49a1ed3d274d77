"""Made-up results of head agreement, for figures and sentences."""

import numpy as np

from innerloop.analysis.agreement_grid import Cell
from innerloop.analysis.head_agreement import Aligned, Clusters, HeadAgreement, Reading, Side
from innerloop.statistics import equivalence, mean_interval

GAPS = {"inner_product": 0.0, "logistic": 0.01, "ridge": -0.1, "lda": 0.1, "global": 0.02}


def scores(mean, spread=0.01, episodes=40, seed=0):
    """Accuracies of exactly this mean and spread."""
    noise = np.random.default_rng(seed).normal(0, 1, episodes)
    noise = (noise - noise.mean()) / (noise.std(ddof=1) if episodes > 1 else 1.0)
    return mean + spread * noise


def side(gaps=GAPS, spread=0.01, episodes=40, agreement=0.9):
    """Readings that the head, at 0.6, is ahead of by these gaps, whose paired differences have this spread."""
    head = np.full(episodes, 0.6)
    readings = tuple(
        Reading(
            name,
            mean_interval(scores(0.6 - gap, spread, episodes)),
            mean_interval(
                np.full(episodes, 1.0 if name == "inner_product" and agreement == 1 else agreement - place / 50)
            ),
            equivalence(head, head - scores(gap, spread, episodes), 0.02),
        )
        for place, (name, gap) in enumerate(gaps.items())
    )
    size = len(readings) + 1
    shares = np.full((size, size), agreement) + (1 - agreement) * np.eye(size)
    return Side(readings, tuple(tuple(row) for row in shares.tolist()))


def cells(diverged=0, matches=True):
    """A grid of two rates and two numbers of steps; the last diverged in some of 5 episodes."""
    found = []
    for place, (factor, steps) in enumerate(((0.5, 1), (0.5, 10), (2.0, 1), (2.0, 10))):
        lost = diverged if place == 3 else 0
        share = mean_interval([0.5 + 0.1 * place] * (5 - lost)) if lost < 5 else None
        matched = share if matches else None
        found.append(Cell(factor, steps, lost, share, matched, matched, share, share))
    return tuple(found)


def result(before=None, after=None, is_still=False, clusters=True, grid=(), pictures=(), **more):
    """A result of these sides."""
    after = after or side()
    before = before or after
    aligned = [Aligned(*(mean_interval(scores(mean)) for mean in (0.3 + step, 0.1, 0.5))) for step in (0.0, 0.2)]
    given = {
        "adapts": "all",
        "loss": "cross_entropy",
        "inner_lr": 0.4,
        "inner_steps": 2,
        "reach": 0.8,
        "ways": 5,
        "shots": 5,
        "chance": 0.2,
        "margin": 0.02,
        "head": mean_interval(scores(0.6, episodes=after.readings[0].accuracy.observations)),
        "kept": (1.0, *[0.7] * len(after.readings)),
    }
    return HeadAgreement(
        **{**given, **more},
        is_still=is_still,
        before=before,
        after=after,
        cells=grid,
        clusters=Clusters(1100, "inner_product", *aligned) if clusters else None,
        pictures=pictures,
    )
