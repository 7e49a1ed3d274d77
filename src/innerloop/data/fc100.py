"""fc100: CIFAR-100 divided by superclass, 12, 4 and 4 of them, so that no two sides hold classes of one kind.

Source: B. Oreshkin, P. Rodriguez Lopez, A. Lacoste, TADAM: Task dependent adaptive metric for improved few-shot
learning, NeurIPS 2018 (arXiv 1805.10123), supplementary material. The lists below are the same in torchmeta's assets
(`cifar100/fc100/*.json`). Which class belongs to which superclass is read from the archive.
"""

from innerloop.data.cifar100 import SHAPE, fingerprint, items, sides_of
from innerloop.data.split import TEST, TRAIN, VALIDATION

__all__ = ["CHOSEN", "SHAPE", "fingerprint", "items", "sides"]

# fmt: off
CHOSEN: dict[str, tuple[str, ...]] = {
    TRAIN: (
        "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
        "household_furniture", "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "reptiles", "trees",
        "vehicles_1", "vehicles_2",
    ),
    VALIDATION: (
        "large_carnivores", "large_omnivores_and_herbivores", "non-insect_invertebrates", "small_mammals",
    ),
    TEST: ("aquatic_mammals", "insects", "medium_mammals", "people"),
}
# fmt: on


def sides(class_names: list[str]) -> dict[str, list[str]]:
    """Return the classes of each side; a class is called `superclass/class`.

    Raises:
        DataError: Their superclasses are not those of CIFAR-100.
    """
    return sides_of(class_names, CHOSEN, part=0)
