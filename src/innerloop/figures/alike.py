"""Which runs differ in nothing but one number, so that a line may join them?"""

import re
from collections import Counter
from collections.abc import Mapping

Key = tuple[str, str]


def alike(numbers: Mapping[str, int], kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """Group runs by label: those of one kind whose labels differ in the number alone (`random m1`, `random m3`).

    Where no two labels are so, the kind alone decides, if no number then stands twice in a group.

    Args:
        numbers: For each run's label the number that is to differ, 0 or more.
        kinds: For each a kind that must not differ; it names the group where labels do not.

    Returns:
        The labels of each group, by a name for it.
    """
    stems = {label: _stems(label, number) for label, number in numbers.items()}
    often = Counter((stem, kinds[label]) for label, found in stems.items() for stem in found)
    chosen: dict[str, Key] = {}
    for label, kind in kinds.items():
        of_kind = {stem: often[stem, kind] for stem in stems[label]} or {label: 1}
        chosen[label] = (max(of_kind, key=of_kind.__getitem__), kind)
    groups = _grouped(chosen)
    if len(groups) == len(numbers):
        by_kind = _grouped({label: ("", kind) for label, kind in kinds.items()})
        if all(len({numbers[label] for label in held}) == len(held) for held in by_kind.values()):
            groups = by_kind
    return dict(zip(_names(list(groups)), groups.values(), strict=True))


def _grouped(keys: Mapping[str, Key]) -> dict[Key, list[str]]:
    groups: dict[Key, list[str]] = {}
    for label, key in keys.items():
        groups.setdefault(key, []).append(label)
    return groups


def _stems(label: str, number: int) -> list[str]:
    """Return the label with the number masked, once for every place where it stands."""
    places = [each for each in re.finditer(r"\d+", label) if int(each[0]) == number]
    masked = [f"{label[: each.start()]}*{label[each.end() :]}" for each in places]
    return [re.sub(r"(\* ?(?:inner )?step)s\b", r"\1", stem) for stem in masked]


def _names(keys: list[Key]) -> list[str]:
    """Return the shortest names that tell the groups apart."""
    words = [_without_number(stem) for stem, _ in keys]
    with_kind = [f"{word} {kind}".strip() for word, (_, kind) in zip(words, keys, strict=True)]
    whole = [f"{stem} {kind}".strip() for stem, kind in keys]
    return next(names for names in (words, with_kind, whole) if all(names) and len(set(names)) == len(names))


def _without_number(stem: str) -> str:
    """Return a stem without the word that held the number: `random m*` as `random`."""
    return " ".join(re.sub(r"[^\s/]*\*[^\s/]*( inner)?( step)?", "", stem).split()).strip(" /,")
