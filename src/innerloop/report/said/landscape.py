"""How sharp the loss is before adaptation and after, which layers it hangs on, and what its planes show."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from innerloop.analysis.landscape import SETS, Bend, Landscape, Place, Set, Slice
from innerloop.analysis.spectrum import Spectrum
from innerloop.figures.landscape import MOST, SLICES, panels
from innerloop.report.words import capital, listed
from innerloop.statistics import Interval, mean_interval

TITLE = "The landscape of the loss"
NO_CHANGE = "neither shown to be flatter nor sharper"
LEVEL = 1e-4  # relative differences that are none: results keep five digits


def say(results: Mapping[str, Landscape]) -> str:
    """Say for each run how adaptation changes the bend, which layer matters most, and what is left out."""
    return "\n".join(" ".join(part for part in _said(label, each) if part) for label, each in results.items())


def captions(results: Mapping[str, Landscape]) -> dict[str, str]:
    """Return a caption for every figure."""
    said: dict[str, str] = {}
    for name in SLICES:
        found = panels(results, name)
        for number in range(1, 1 + -(-len(found) // MOST)):
            own = [each[0].label for each in found[(number - 1) * MOST : number * MOST]]
            shown = {label: _slice(results[label], name) for label in own}
            key = name.replace(" ", "_") + ("" if number == 1 else f"_{number}")
            said[key] = _caption(name, {label: each for label, each in shown.items() if each is not None}, results)
    for number, label in enumerate(results, 1):
        said["relief" if number == 1 else f"relief_{number}"] = (
            f"The query loss of the {label} over the two planes of random directions, as a relief."
        )
    episodes = _episodes(results)
    said["lines"] = (
        "Loss along lines: in a random, filter-normalised direction through the parameters before adaptation and after "
        "(1 is as long as the network's own filters), and from the ones (0) to the others (1). Mean and 95% interval "
        f"over {episodes}, no adaptation anew on the way."
    )
    said["hessian"] = (
        f"Largest eigenvalues of the loss's Hessian by all parameters, a dot an episode ({episodes}), a line through "
        f"medians. {_residual(results)}"
    )
    said["layers"] = (
        "What a change of one layer does to the query loss: norm of its gradient (a unit), and the root mean square "
        "change by random steps over their size relative to the layer's norm (a relative unit; a layer of zeros has "
        f"none). Mean and 95% interval over {episodes}."
    )
    return said


def _said(label: str, result: Landscape) -> list[str]:
    return [
        _bend(label, result),
        _reached(result),
        _sensitive(result),
        _tasks(result),
        _left_out(result),
    ]


def _bend(label: str, result: Landscape) -> str:
    """Say the median of the largest eigenvalue of both losses, before adaptation and after."""
    parts, verdicts = [], []
    for of in SETS:
        tops = {place: _tops(result.values(place, of)) for place in ("start", "adapted")}
        if not tops["start"]:
            continue
        before = median(tops["start"])
        if not tops["adapted"]:
            parts.append(f"{before:.3g} for the {of} loss")
            continue
        after = median(tops["adapted"])
        parts.append(f"{before:.3g} before and {after:.3g} after for the {of} loss")
        verdicts.append(f"{_bent(result, of)} on {of}")
    if not parts:
        return f"For the {label} no eigenvalue of the loss's Hessian was reached."
    over = f"the median over {_count(result.episodes)}" if result.episodes > 1 else "of one episode"
    verdict = f"the loss of the {label} after adaptation is {_both(verdicts)}" if verdicts else f"for the {label}"
    return capital(f"{verdict}: the Hessian's largest eigenvalue is {listed(parts)} ({over}){_traces(result)}.")


def _bent(result: Landscape, of: Set) -> str:
    """Say whether a loss is flatter after adaptation, by the ratio of both eigenvalues in pairs over episodes."""
    tops = [
        {each.episode: each.spectrum.eigenvalues[0] for each in result.bends if _is_at(each, place, of)}
        for place in ("start", "adapted")
    ]
    both = [(tops[0][episode], tops[1][episode]) for episode in tops[0] if episode in tops[1]]
    ratios = [math.log(after / before) for before, after in both if before > 0 and after > 0]
    change = mean_interval(ratios) if ratios else None
    if change is None or change.low <= 0 <= change.high:
        return NO_CHANGE
    return "flatter" if change.mean < 0 else "sharper"


def _is_at(bend: Bend, place: str, of: str) -> bool:
    return (bend.place, bend.of) == (place, of) and bool(bend.spectrum.eigenvalues)


def _both(verdicts: Sequence[str]) -> str:
    words = {each.rsplit(" on ", 1)[0] for each in verdicts}
    return f"{words.pop()} on support and query" if len(words) == 1 and len(verdicts) == 2 else listed(verdicts)


def _tops(spectra: Sequence[Spectrum]) -> list[float]:
    return [each.eigenvalues[0] for each in spectra if each.eigenvalues]


def _traces(result: Landscape) -> str:
    """Say the traces of the first episode with their intervals over probes."""
    places: tuple[tuple[Place, str], ...] = (("start", "before"), ("adapted", "after"))
    parts = [
        f"{_number(spectra[0].trace)} {word}"
        for place, word in places
        if (spectra := result.values(place, "query")) and spectra[0].trace is not None
    ]
    return f"; the first episode's trace, of the query loss, is {listed(parts)}" if parts else ""


def _reached(result: Landscape) -> str:
    """Say how many eigenvalues were not reached."""
    short = [each.spectrum for each in result.bends if len(each.spectrum.eigenvalues) < each.spectrum.asked]
    if not short:
        return ""
    missing = sum(each.asked - len(each.eigenvalues) for each in short)
    asked = sum(each.spectrum.asked for each in result.bends)
    return f"Lanczos did not converge for {missing} of {asked} eigenvalues, which are left out."


def _sensitive(result: Landscape) -> str:
    """Say which layer the query loss depends on most, by a relative unit."""
    parts = []
    for what, word in (("change_start", "before adaptation"), ("change_adapted", "after")):
        sized: dict[str, Interval] = {
            layer.name: found for layer in result.layers if (found := getattr(layer, what)) is not None
        }
        order = sorted(sized, key=lambda name: -sized[name].mean)
        if order and (len(order) == 1 or sized[order[0]].low > sized[order[1]].high):
            parts.append(f"{word} on {order[0]} ({sized[order[0]].mean:.2g})")
    if not parts:
        return ""
    return f"Of layers changed by a relative unit the query loss depends most {' and '.join(parts)}."


def _tasks(result: Landscape) -> str:
    """Say what adapting to one task does to the other's query loss."""
    own = _slice(result, "tasks")
    if own is None:
        return ""
    changes = []
    for surface, other in zip(own.surfaces, (2, 1), strict=True):
        start, there = surface.at_marks[0], surface.at_marks[other]
        if start is None or there is None:
            return ""
        changes.append((start, there))
    words = [f"{there:.3g} instead of {start:.3g}" for start, there in changes]
    ups = [there > start for start, there in changes]
    verb = "raises" if all(ups) else "lowers" if not any(ups) else "raises one and lowers the other of"
    whose = "their losses" if "one" in verb else "the other's query loss"
    return f"Adapting to one of the first two tasks {verb} {whose} ({' and '.join(words)})."


def _left_out(result: Landscape) -> str:
    """Say what could not be shown, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for line in result.left_out:
        name, reason = line.split(": ", 1)
        reasons.setdefault(reason, []).append(name)
    told = [f"{listed(names)} ({reason})" for reason, names in reasons.items()]
    return f"Left out: {'; '.join(told)}." if told else ""


def _slice(result: Landscape, name: str) -> Slice | None:
    return next((each for each in result.slices if each.name == name), None)


def _caption(name: str, shown: Mapping[str, Slice], results: Mapping[str, Landscape]) -> str:
    if name in ("start", "adapted"):
        where = "where the inner loop starts" if name == "start" else "where it ends"
        return (
            f"Loss on a plane of two random, filter-normalised directions through the parameters {where} (the dot), "
            "for the first episode; 1 is as long as the network's own filters, and biases and norms stay."
            f"{_flat(shown)}"
        )
    if name == "tasks":
        return (
            "Query losses of the first two tasks on the plane of the parameters before adaptation (hollow), adapted to "
            "task A and to task B; distances are those of parameters."
        )
    first = next(iter(shown))
    if name == "inner path":
        what = f"Loss along the inner loop of the first episode, {results[first].path_steps} steps"
    else:
        steps = results[first].outer_steps
        what = (
            "Query loss of the first episode after adapting from there, along the outer loop: snapshots at outer step "
            f"{listed([str(step) for step in steps])}"
        )
    held = [f"{100 * sum(each.explained or (0.0, 0.0)):.0f}% for the {label}" for label, each in shown.items()]
    return (
        f"{what}. The plane is that of the path's two main directions through its end, which hold {listed(held)} of "
        f"its variance; the path is drawn where it falls on the plane. On the path itself {_ends(shown)}."
    )


def _flat(shown: Mapping[str, Slice]) -> str:
    """Say whose loss is the same all over the plane: a head of zeros hides the encoder."""
    flat = [
        f"the {surface.of} of the {label} ({values[0]:.3g})"
        for label, each in shown.items()
        for surface in each.surfaces
        if (values := [value for row in surface.losses for value in row if value is not None])
        and max(values) - min(values) <= LEVEL * abs(max(values))
    ]
    return f" The same everywhere is {listed(flat)}." if flat else ""


def _ends(shown: Mapping[str, Slice]) -> str:
    parts = []
    for label, each in shown.items():
        for surface in each.surfaces:
            start, end = surface.at_marks[0], surface.at_marks[-1]
            if start is not None and end is not None:
                parts.append(f"the {surface.of} goes from {start:.3g} to {end:.3g} for the {label}")
    return "; ".join(parts) or "it is not finite"


def _residual(results: Mapping[str, Landscape]) -> str:
    """Say how far off eigenvalues are at most, relative to the largest of their Hessian."""
    shares = [
        max(own.residuals) / abs(own.eigenvalues[0])
        for each in results.values()
        for bend in each.bends
        if (own := bend.spectrum).eigenvalues and own.eigenvalues[0]
    ]
    if not shares:
        return "None differs from 0."
    return f"The largest residual |H v - eigenvalue v| is {max(shares):.0e} of the largest eigenvalue."


def _episodes(results: Mapping[str, Landscape]) -> str:
    return " / ".join(dict.fromkeys(_count(each.episodes) for each in results.values()))


def _count(episodes: int) -> str:
    return "1 episode" if episodes == 1 else f"{episodes} episodes"


def _number(interval: Interval) -> str:
    return f"{interval.mean:.3g} ± {interval.half_width:.2g}"
