from dataclasses import replace

import numpy as np
import pytest

from innerloop.data.episode import EpisodeShape
from innerloop.data.manifest import Manifest, read, record, replay, shape_of
from innerloop.data.sampler import choose
from innerloop.errors import DataError
from worlds import SMALL, made_up_data

SPLIT = made_up_data().split("test")
CHOICES = [choose(SPLIT, SMALL, 0, index) for index in range(4)]


def same(left, right):
    return left.classes == right.classes and all(
        np.array_equal(a, b)
        for one, other in zip(left[1:], right[1:], strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_a_manifest_gives_back_exactly_the_episodes_it_names(tmp_path):
    place = tmp_path / "manifest.json"
    place.write_text(record(SPLIT, CHOICES).to_json())
    again = replay(SPLIT, read(place))
    assert len(again) == 4
    assert all(same(left, right) for left, right in zip(CHOICES, again, strict=True))
    assert shape_of(again, EpisodeShape()) == replace(EpisodeShape(), n_way=3, k_shot=2, n_queries=3)


def test_a_manifest_names_classes_and_examples():
    first = record(SPLIT, CHOICES).episodes[0]
    assert first["classes"] == [SPLIT.class_names[each] for each in CHOICES[0].classes]
    assert first["query"][1] == [str(index) for index in CHOICES[0].query[1]]


def test_a_manifest_of_other_data_or_with_unknown_names_is_refused():
    manifest = record(SPLIT, CHOICES)
    with pytest.raises(DataError, match="expected a manifest of 'made-up' train, got 'made-up' test"):
        replay(made_up_data().split("train"), manifest)
    unknown = {**manifest.episodes[0], "classes": ["nobody"] * 3}
    with pytest.raises(DataError, match="got 'nobody' in the manifest"):
        replay(SPLIT, replace(manifest, episodes=(unknown,)))
    with pytest.raises(DataError, match="at least one episode"):
        shape_of(replay(SPLIT, Manifest("made-up", "test", ())), SMALL)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', "not json", '{"format": 1, "data_set": "x"}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match="manifest"):
        read(tmp_path / "m.json")
    with pytest.raises(DataError, match="expected a manifest in"):
        read(tmp_path / "nowhere.json")
