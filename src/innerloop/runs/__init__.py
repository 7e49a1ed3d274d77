"""Runs: every file of a run is written and read here."""

from innerloop.runs import banks, heads, history, interventions, snapshots
from innerloop.runs.checkpoint import Best, read_checkpoint, write_checkpoint
from innerloop.runs.directory import RunDirectory
from innerloop.runs.explanation import KeptExplanation
from innerloop.runs.explanation import keep as keep_explanation
from innerloop.runs.opened import KeptEvaluation, OpenedRun, Which, open_run, open_together
from innerloop.runs.recipe import (
    InnerConfig,
    Recipe,
    RecordConfig,
    Workshop,
    build,
    fingerprint,
    from_values,
    probe_episodes,
    training_batch,
    untrained,
)

__all__ = [
    "Best",
    "InnerConfig",
    "KeptEvaluation",
    "KeptExplanation",
    "OpenedRun",
    "Recipe",
    "RecordConfig",
    "RunDirectory",
    "Which",
    "Workshop",
    "banks",
    "build",
    "fingerprint",
    "from_values",
    "heads",
    "history",
    "interventions",
    "keep_explanation",
    "open_run",
    "open_together",
    "probe_episodes",
    "read_checkpoint",
    "snapshots",
    "training_batch",
    "untrained",
    "write_checkpoint",
]
