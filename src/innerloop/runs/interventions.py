"""What training did to its own outer steps: which made no update or had no score, and how many were clipped."""

from collections.abc import Sequence

from innerloop.runs.history import Record
from innerloop.runs.opened import OpenedRun
from innerloop.training import TrainingConfig

NAMED = 8  # steps a sentence names before it counts the rest


def told(run: OpenedRun) -> str:
    """Say which outer steps made no update or had no score, and how many were clipped; else nothing."""
    said = (each(run.history, run.recipe.training) for each in (_skipped, _unscored, _clipped))
    return " ".join(part for part in said if part)


def _skipped(records: Sequence[Record], training: TrainingConfig) -> str:
    skipped = [record for record in records if "skipped" in record]
    if not skipped:
        return ""
    rates = [record["outer_lr"] for record in skipped if "outer_lr" in record]
    fell = f"; the outer rate fell from {training.outer_lr:g} to {rates[-1]:g}" if rates else ""
    return (
        f"{len(skipped)} of {records[-1]['step']} outer steps made no update, since a loss, a gradient or an update "
        f"was not finite: {_named([record['step'] for record in skipped])}{fell}."
    )


def _unscored(records: Sequence[Record], _: TrainingConfig) -> str:
    unscored = [record["step"] for record in records if "unscored" in record]
    if not unscored:
        return ""
    measured = len(unscored) + sum("validation" in record for record in records)
    return (
        f"{len(unscored)} of {measured} validations have no score, since predictions were not finite: after outer "
        f"{'step' if len(unscored) == 1 else 'steps'} {_named(unscored)}."
    )


def _named(steps: Sequence[int]) -> str:
    """Return numbers as `3, 7 and 12`, with those beyond the first few counted."""
    words = [str(step) for step in steps]
    if len(words) > NAMED + 1:
        words = [*words[:NAMED], f"{len(words) - NAMED} more, the last {words[-1]}"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _clipped(records: Sequence[Record], training: TrainingConfig) -> str:
    if training.clip is None:
        return ""
    norms = [record["gradient_norm"] for record in records if "gradient_norm" in record]
    longer = [each for each in norms if each > training.clip]
    if not longer:
        return ""
    return (
        f"The meta-gradient was longer than {training.clip:g} in {len(longer)} of {len(norms)} outer steps, at most "
        f"{max(longer):.3g}, and scaled down to {training.clip:g}."
    )
