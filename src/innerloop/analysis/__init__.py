"""Analyses: why a learner does what it does."""

from innerloop.analysis.contrast import ContrastSplit, split
from innerloop.analysis.cosine import Cosines, cosines
from innerloop.analysis.parts import Contrast, Measures, episode_split, measures
from innerloop.analysis.registry import ANALYSES, EXPERIMENTS, Analysis, Experiment
from innerloop.analysis.subject import Probe, Subject, probes

__all__ = [
    "ANALYSES",
    "EXPERIMENTS",
    "Analysis",
    "Contrast",
    "ContrastSplit",
    "Cosines",
    "Experiment",
    "Measures",
    "Probe",
    "Subject",
    "cosines",
    "episode_split",
    "measures",
    "probes",
    "split",
]
