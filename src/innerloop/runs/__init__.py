"""Runs: every file of a run is written and read here."""

from innerloop.runs import banks, heads, history, interventions, machine, saves, snapshots
from innerloop.runs.checkpoint import Best, read_checkpoint, whose, write_checkpoint
from innerloop.runs.directory import RunDirectory
from innerloop.runs.explanation import KeptExplanation
from innerloop.runs.explanation import keep as keep_explanation
from innerloop.runs.explanation import made_folder as explanation_folder
from innerloop.runs.files import settle
from innerloop.runs.lock import Lock
from innerloop.runs.opened import KeptEvaluation, OpenedRun, Which, open_run, open_together
from innerloop.runs.provenance import provenance
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
from innerloop.runs.standing import clear_ahead, refuse_changed, standing

__all__ = [
    "Best",
    "InnerConfig",
    "KeptEvaluation",
    "KeptExplanation",
    "Lock",
    "OpenedRun",
    "Recipe",
    "RecordConfig",
    "RunDirectory",
    "Which",
    "Workshop",
    "banks",
    "build",
    "clear_ahead",
    "explanation_folder",
    "fingerprint",
    "from_values",
    "heads",
    "history",
    "interventions",
    "keep_explanation",
    "machine",
    "open_run",
    "open_together",
    "probe_episodes",
    "provenance",
    "read_checkpoint",
    "refuse_changed",
    "saves",
    "settle",
    "snapshots",
    "standing",
    "training_batch",
    "untrained",
    "whose",
    "write_checkpoint",
]
