"""How far apart the features of different classes lie, and that the loss is made of their inner products."""

from collections.abc import Mapping

from innerloop.analysis.cosine import Pair, Separation
from innerloop.figures.cosine import MOST_MAPS, MOST_NAMES, MOST_NUMBERS, shown_products
from innerloop.report.words import listed, number

TITLE = "Features of one class, and of others"
KINDS = {
    "query_support": "query and support",
    "query_query": "two queries",
    "support_support": "two support examples",
}


def say(results: Mapping[str, Separation]) -> str:
    """Say how large the gap between one class and others is, how adaptation moves it, and what the loss is made of."""
    said = [_gap(results), _adapted(results), _products(results)]
    return "\n".join(each for each in said if each)


def captions(results: Mapping[str, Separation]) -> dict[str, str]:
    """Return a caption for every figure."""
    first, shown = next(iter(results.values())), list(results)[:MOST_MAPS]
    fewer = f" Drawn for the first {len(shown)} of {len(results)} learners." if len(shown) < len(results) else ""
    unnamed = " Too many classes to name on the axes." if len(first.classes) > MOST_NAMES else ""
    texts = {
        "pairs": f"Mean cosine of two examples' features, of one class (full) and of different classes (hollow), "
        f"before adaptation, and on the right after it. {_others(results)}".strip(),
        "classes": f"Mean cosine of the queries of a class (row) and the support examples of a class (column), before "
        f"adaptation, in episode {first.number}.{fewer}{unnamed} {_rows(results, shown)}".strip(),
    }
    multiplied = shown_products(results)
    if multiplied:
        losses = {each.loss for each in multiplied.values()}
        beside = {
            "cross_entropy": "beside them the mean of the probabilities that softmax makes of them, which "
            "cross-entropy pulls to 1 in the class's own slot and to 0 elsewhere",
            "mse": "beside them the target that squared error pulls them to",
        }
        unwritten = max(len(row) for each in multiplied.values() for row in each.logits) > MOST_NUMBERS
        there = sum(each.products is not None for each in results.values())
        texts["products"] = (
            "With the head zeroed and one inner step, a logit is a sum of inner products of a query's feature with "
            f"support features. Means over the queries of each class in episode {first.number}; "
            f"{listed([text for loss, text in beside.items() if loss in losses])}."
            + (f" Drawn for the first {len(multiplied)} of {there} learners." if len(multiplied) < there else "")
            + (" Too many slots to write the numbers." if unwritten else "")
        )
    return texts


def _gap(results: Mapping[str, Separation]) -> str:
    parts = [
        f"{number(pair.same)} within a class and {number(pair.different)} between classes, a gap of "
        f"{number(pair.gap)}, for the {label}"
        for label, pair in ((label, each.query_support) for label, each in results.items())
        if pair.same is not None and pair.different is not None and pair.gap is not None
    ]
    return f"Before adaptation, query and support features have a mean cosine of {'; '.join(parts)}." if parts else ""


def _adapted(results: Mapping[str, Separation]) -> str:
    still, parts = [], []
    for label, each in results.items():
        before, after = each.query_support.gap, each.adapted.gap
        if each.adapts == "head" or each.inner_steps == 0 or each.inner_lr == 0 or each.query_support == each.adapted:
            still.append(f"the {label}")
        elif before is not None and after is not None:
            parts.append(f"from {number(before, 3)} to {number(after, 3)} for the {label}")
    moved = f"Adaptation takes the gap {'; '.join(parts)}" if parts else ""
    if not still:
        return f"{moved}." if moved else ""
    stays = f"the features of {listed(still)} stay where they are"
    return f"{moved}; {stays}." if moved else f"In adaptation {stays}."


def _products(results: Mapping[str, Separation]) -> str:
    there = {label: each.products for label, each in results.items() if each.products is not None}
    if not there:
        return ""
    parts = [
        f"{each.by_products:.6g} from inner products alone and {each.by_algorithm:.6g} by the algorithm itself for "
        f"the {label}"
        for label, each in there.items()
    ]
    number_of = next(iter(results.values())).number
    return f"With the head zeroed and one inner step, the query loss of episode {number_of} is {'; '.join(parts)}."


def _others(results: Mapping[str, Separation]) -> str:
    parts = []
    for label, each in results.items():
        kinds: dict[str, Pair] = {name: getattr(each, kind) for kind, name in KINDS.items()}
        gaps = [f"{number(pair.gap)} for {name}" for name, pair in kinds.items() if pair.gap is not None]
        parts.append(f"{listed(gaps)} in the {label}")
    lonely = any(each.support_support.same is None for each in results.values())
    return f"The gap is {'; '.join(parts)}." + " One shot has no two support examples of one class." * lonely


def _rows(results: Mapping[str, Separation], shown: list[str]) -> str:
    parts = []
    for label in shown:
        rows = results[label].by_class
        there = [(place, row) for place, row in enumerate(rows) if None not in row]
        right = sum(row[place] == max(value for value in row if value is not None) for place, row in there)
        parts.append(f"{right} of {len(there)} for the {label}")
    return f"Classes whose queries lie nearest to their own support: {listed(parts)}."
