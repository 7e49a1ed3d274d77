"""cifar_fs: CIFAR-100 divided into 64, 16 and 20 classes, whatever their superclass.

Source: L. Bertinetto, J. Henriques, P. Torr, A. Vedaldi, Meta-learning with differentiable closed-form solvers,
ICLR 2019 (arXiv 1805.08136), section 4.1; the split `bertinetto` of https://github.com/bertinetto/r2d2. The lists below
are the same in torchmeta's assets (`cifar100/cifar-fs/*.json`).
"""

from innerloop.data.cifar100 import SHAPE, fingerprint, items, sides_of
from innerloop.data.split import TEST, TRAIN, VALIDATION

__all__ = ["CHOSEN", "SHAPE", "fingerprint", "items", "sides"]

# fmt: off
CHOSEN: dict[str, tuple[str, ...]] = {
    TRAIN: (
        "apple", "aquarium_fish", "bear", "bee", "bottle", "bowl", "boy", "bridge", "bus", "can", "castle",
        "caterpillar", "chair", "clock", "cloud", "cockroach", "couch", "cup", "dinosaur", "dolphin", "elephant",
        "forest", "girl", "hamster", "house", "kangaroo", "keyboard", "lawn_mower", "lion", "lizard", "lobster",
        "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "palm_tree", "pear", "pine_tree", "plate",
        "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "seal", "shrew", "skunk", "skyscraper", "snake",
        "spider", "squirrel", "streetcar", "sunflower", "tank", "tiger", "train", "trout", "tulip", "turtle",
        "willow_tree", "wolf",
    ),
    VALIDATION: (
        "beaver", "beetle", "butterfly", "camel", "cattle", "crab", "crocodile", "flatfish", "lamp", "maple_tree",
        "motorcycle", "otter", "sea", "shark", "television", "tractor",
    ),
    TEST: (
        "baby", "bed", "bicycle", "chimpanzee", "fox", "leopard", "man", "pickup_truck", "plain", "poppy", "rocket",
        "rose", "snail", "sweet_pepper", "table", "telephone", "wardrobe", "whale", "woman", "worm",
    ),
}
# fmt: on


def sides(class_names: list[str]) -> dict[str, list[str]]:
    """Return the classes of each side; a class is called `superclass/class`.

    Raises:
        DataError: They are not the classes of CIFAR-100.
    """
    return sides_of(class_names, CHOSEN, part=1)
