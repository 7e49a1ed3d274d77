"""Analyses: why a learner does what it does."""

from innerloop.analysis.contrast import ContrastSplit, split
from innerloop.analysis.probe import ContrastNorms, Cosines, contrast_norms, cosines, episode_split

__all__ = ["ContrastNorms", "ContrastSplit", "Cosines", "contrast_norms", "cosines", "episode_split", "split"]
