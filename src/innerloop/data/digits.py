"""digits: scikit-learn's 1,797 real handwritten digits, for meta-test only.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, as
shipped with scikit-learn. 8x8 pixels there, resized here so that ink fills the same square as in the other sets.
"""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from innerloop.data.split import TEST, DataSet, Split

SIZE = 28
INK = 20
BRIGHTEST = 16


def load() -> DataSet:
    """Return the data set; it has a `test` split only."""
    digits = load_digits()
    images = np.zeros((len(digits.images), 1, SIZE, SIZE), np.uint8)
    margin = (SIZE - INK) // 2
    for index, image in enumerate(digits.images):
        small = Image.fromarray((image * (255 / BRIGHTEST)).astype(np.uint8))
        large = small.resize((INK, INK), Image.Resampling.BICUBIC)
        images[index, 0, margin:-margin, margin:-margin] = np.asarray(large)
    members = tuple(np.flatnonzero(digits.target == label) for label in range(10))
    names = tuple(f"digit {label}" for label in range(10))
    return DataSet("digits", {TEST: Split("digits", TEST, images, names, members)})
