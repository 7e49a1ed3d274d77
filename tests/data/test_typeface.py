import unicodedata
from hashlib import sha256

import numpy as np
import pytest

from innerloop.data import DataConfig, load
from innerloop.data.typeface import SAME_LOOK

# Of the images and their classes, with the pinned fonts and Pillow. A change here changes every result on typeface.
DIGEST = "4024112a8431ef3b9fad4913c0a91a58bc741408e5e3e4a1c889e9b7052ba219"


@pytest.fixture(scope="module")
def data():
    return load(DataConfig("typeface"))


def test_the_letters_are_the_same_bytes_on_every_machine(data):
    digest = sha256(np.ascontiguousarray(data.split("train").inputs).tobytes())
    for split in data.splits.values():
        digest.update("\n".join(split.class_names).encode())
    assert digest.hexdigest() == DIGEST


def test_scripts_stand_on_their_own_side_with_twenty_images_a_letter(data):
    scripts = {side: {name.split()[0] for name in split.class_names} for side, split in data.splits.items()}
    assert scripts == {"train": {"LATIN"}, "validation": {"ARMENIAN", "GEORGIAN"}, "test": {"GREEK", "CYRILLIC"}}
    assert {side: len(split) for side, split in data.splits.items()} == {"train": 609, "validation": 110, "test": 301}
    assert all(len(members) == 20 for split in data.splits.values() for members in split.members)
    assert data.split("train").input_shape == (1, 28, 28)


def test_a_letter_that_looks_like_a_latin_one_is_not_tested_on(data):
    tested = set(data.split("test").class_names)
    for twin in "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧоасехурАВЕМНОРСТХ":
        assert unicodedata.name(twin) not in tested
    for own in "ΓΔΞΠΦΨΩДЖИЛЦШЩЮЯ":
        assert unicodedata.name(own) in tested


def test_no_two_classes_have_nearly_the_same_mean_image(data):
    means = np.stack(
        [
            np.asarray(split.inputs[members], np.float64).mean(0).ravel()
            for split in data.splits.values()
            for members in split.members
        ]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = means @ means.T - 2 * np.eye(len(means))
    # Upright pictures are held apart at SAME_LOOK; means over warped ones are blurred and so a little closer.
    assert cosines.max() < 0.995
    assert SAME_LOOK < 0.995
    assert np.mean(cosines.max(1) > 0.98) < 0.1


def test_no_image_is_empty_or_cut_off(data):
    images = data.split("train").inputs
    assert (images.reshape(len(images), -1).max(1) > 80).all()
    border = np.concatenate([images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]], axis=1)
    assert np.mean(border.max(1) > 128) < 0.01
