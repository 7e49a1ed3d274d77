"""Where does a run stand: from which state does it go on, and what of its files lies ahead of that?"""

import warnings

from innerloop.errors import RunError, RunWarning
from innerloop.runs import heads, history, lock, saves, snapshots
from innerloop.runs.checkpoint import Best, whose
from innerloop.runs.directory import FORMAT
from innerloop.runs.files import refuse_links
from innerloop.runs.opened import OpenedRun
from innerloop.runs.recipe import Workshop
from innerloop.shapes import Params
from innerloop.training import State, has_moments_of

LENGTH = "its length as well, for its outer rate falls towards the end"


def refuse_changed(run: OpenedRun) -> None:
    """Refuse a run whose recipe is not what it was begun with, before anything is built by it.

    Raises:
        RunError: It is not, or nothing says what that was, or a part of the run lies elsewhere.
    """
    directory, recipe = run.directory, run.recipe
    refuse_links(directory.checkpoints, directory.snapshots, directory.folder / lock.NAME)
    if not run.about.get("recipe"):
        raise RunError(
            f"expected '{directory.about}' with what the run was begun with, got none; restore it, or train anew"
        )
    if not run.is_as_begun:
        length = "more steps are welcome" if recipe.training.outer_schedule == "constant" else LENGTH
        raise RunError(
            f"expected '{directory.recipe}' as the run began with it ({length}), got it changed; change it back, or "
            "train anew with it"
        )


def standing(run: OpenedRun, workshop: Workshop) -> tuple[State, Best, bool]:
    """Return the state that a run goes on from, its best so far, and whether it was saved: else it is the very first.

    Raises:
        RunError: The run's recipe or data were changed, or no saved state is whole.

    Warns:
        RunWarning: A file is damaged, and is done without.
    """
    directory, start = run.directory, workshop.start
    if run.about.get("data", workshop.data.digest) != workshop.data.digest:
        raise RunError(
            f"expected the examples of '{workshop.data.name}' that the run was begun with, got others; restore them, "
            "or train anew"
        )
    head = workshop.algorithm.learner.head_params(start.params)
    recorded = {record["step"] for record in run.history}

    def lacks(state: State) -> str:
        if not recorded.issuperset(range(state.step + 1)):
            return f"expected '{directory.history}' up to step {state.step}, got less; restore it, or train anew"
        if run.recipe.record.heads and heads.count(directory.heads, head) <= state.step:
            return f"expected '{directory.heads}' up to step {state.step}, got less; restore it, or train anew"
        if not _alike(state.params, start.params) or not _alike(state.first_head, start.first_head):
            return f"expected the parameters of this run's network at step {state.step}, got others; restore them"
        if not has_moments_of(state, run.recipe.training):
            return f"expected the outer optimizer of this run's network at step {state.step}, got another; restore it"
        return ""

    found = saves.newest(directory, whose(run.about), lacks)
    if found is None:
        if len(run.history) > 1:
            raise RunError(f"expected a checkpoint in '{directory.checkpoints}', got none; restore it, or train anew")
        return start, Best(), False
    state, best = found
    if state.step > run.recipe.training.steps:
        raise RunError(
            f"expected training.steps of at least {state.step} in '{directory.recipe}', which the run has done, got "
            f"{run.recipe.training.steps}; a run goes on, never back: change it, or train anew"
        )
    if best.step >= 0:
        _warn_of_a_lost_best(run)
    return state, best, True


def clear_ahead(run: OpenedRun, workshop: Workshop, step: int) -> None:
    """Drop what the run wrote after outer step `step` (-1: everything): it is written again, the same.

    Only whoever has the right to write the run calls this. A run of an older format is of this one afterwards.
    """
    directory = run.directory
    directory.tidy()
    if run.about.get("format") != FORMAT:
        saves.adopt(directory)
    saves.keep_until(directory, step)
    history.keep_until(directory.history, step)
    snapshots.keep_until(directory.snapshots, step)
    heads.keep_until(directory.heads, step, workshop.algorithm.learner.head_params(workshop.start.params))


def _alike(found: Params, expected: Params) -> bool:
    """Whether both have the same names, in the same order, and values of the same shapes and types."""
    return [(name, value.shape, value.dtype) for name, value in found.items()] == [
        (name, value.shape, value.dtype) for name, value in expected.items()
    ]


def _warn_of_a_lost_best(run: OpenedRun) -> None:
    try:
        run.state("best")
    except RunError as error:
        warnings.warn(f"{error}. Going on; what is better from here on takes its place", RunWarning, stacklevel=2)
