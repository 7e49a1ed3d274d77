"""A lower bound on what a prediction is of, that holds as often as it says: split conformal prediction.

    excess[i] = predicted[i] - true[i]                            on n calibration cases, which the predictor never saw
    slack     = the ceil((n + 1) level)-th smallest excess        infinite where that is more than n
    bound     = predicted - slack

For a new case exchangeable with the calibration cases, P(true >= bound) >= level, whatever the predictor: among n + 1
exchangeable excesses the new one is as likely to have any rank. It is a statement over draws of calibration and new
case together, and says nothing of cases of another kind.

Source: vovk2005; papadopoulos2002 (the split); lei2018, section 2.
"""

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def slack(predicted: Values, true: Values, level: float) -> float:
    """Return what to take off a prediction for a lower bound; infinite where the cases are too few for the level.

    Args:
        predicted: Of the calibration cases.
        true: What came of them.
        level: How often the bound is to hold, in (0, 1).
    """
    # A hair below, since 100 x 0.55 is above 55 in floating point.
    rank = math.ceil((len(true) + 1) * level - 1e-9)
    return math.inf if rank > len(true) else float(np.sort(predicted - true)[rank - 1])


def fewest(level: float) -> int:
    """Return how many calibration cases a level needs for a bound at all."""
    return math.ceil(level / (1 - level) - 1e-9)


def lower(predicted: Values, taken: float) -> Values:
    """Return the bounds on shares: predictions less the slack, within [0, 1]; 0 where the slack is infinite."""
    return np.clip(predicted - taken, 0, 1)
