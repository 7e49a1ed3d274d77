"""Long work, shown: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from innerloop import driver

Work = TypeVar("Work")
SECONDS_BETWEEN_LINES = 10  # where there is no terminal

console = Console(markup=False, emoji=False)


def follow(label: str, run: Iterable[driver.Progress]) -> str:
    """Iterate over a training run to its end, show loss, accuracy and time left, and return what did the work."""
    engine = ""
    known: dict[str, float] = {}
    skipped = 0

    def text(progress: driver.Progress) -> str:
        nonlocal engine, skipped
        engine = progress.engine
        skipped += "skipped" in progress.record
        known.update({name: progress.record[name] for name in ("loss", "accuracy") if name in progress.record})
        if "validation" in progress.record:
            held_out = progress.record["validation"]
            known["validation"] = held_out.get("accuracy", held_out.get("loss"))
        parts = [f"{name} {value:.3f}" for name, value in known.items()]
        return "  ".join([*parts, f"skipped {skipped}"] if skipped else parts)

    steps = ((progress.step, progress.steps, text(progress)) for progress in run)
    for _ in _shown(label, steps):
        pass
    return engine


def counted(label: str, total: int) -> Iterator[int]:
    """Yield `0..total-1`, showing how far it has come."""
    yield from (done for done, _, _ in _shown(label, ((index, total, "") for index in range(total)), after=1))


def watched(label: str, work: Sequence[Work]) -> Iterator[Work]:
    """Yield the items, showing how far it has come."""
    yield from (work[index] for index in counted(label, len(work)))


Step = tuple[int, int, str]


def _shown(label: str, steps: Iterable[Step], after: int = 0) -> Iterator[Step]:
    show: Callable[[str, Iterable[Step], int], Iterator[Step]] = _live if console.is_terminal else _plain
    yield from show(label, steps, after)


def _live(label: str, steps: Iterable[Step], after: int) -> Iterator[Step]:
    columns = (
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=None, text="")
        for step in steps:
            done, total, text = step
            if not after:
                bar.update(task, completed=done, total=total, text=text)
            yield step
            if after:
                bar.update(task, completed=done + after, total=total, text=text)


def _plain(label: str, steps: Iterable[Step], after: int) -> Iterator[Step]:
    started = said = time.monotonic()
    first: int | None = None
    for step in steps:
        yield step
        done, total, text = step[0] + after, step[1], step[2]
        first = done if first is None else first
        now = time.monotonic()
        if done == total or now - said >= SECONDS_BETWEEN_LINES:
            said = now
            left = (now - started) / max(1, done - first) * (total - done)
            clock = f"  {int(left) // 60}:{int(left) % 60:02d} left" if total > done > first else ""
            console.print(f"{label}  {done}/{total}  {text}{clock}".rstrip(), soft_wrap=True)
