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
    unknown = {**manifest.episodes[0], "classes": ["nobody", "somebody", "anybody"]}
    with pytest.raises(DataError, match="classes that 'made-up' test has in episode 0 of the manifest, got 'nobody'"):
        replay(SPLIT, replace(manifest, episodes=(unknown,)))
    with pytest.raises(DataError, match="at least one episode"):
        shape_of(replay(SPLIT, Manifest("made-up", "test", ())), SMALL)


def changed(**sides):
    """A manifest whose only episode was tampered with."""
    episode = {side: [list(ids) if side != "classes" else ids for ids in ids_of] for side, ids_of in FIRST.items()}
    for side, change in sides.items():
        episode[side] = change(episode[side])
    return Manifest("made-up", "test", (episode,))


FIRST = record(SPLIT, CHOICES).episodes[0]
TRAINED_ON = str(made_up_data().split("train").members[0][0])


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (changed(query=lambda ids: [[FIRST["support"][0][0], *ids[0][1:]], *ids[1:]]), "once, support and queries"),
        (changed(support=lambda ids: [[ids[0][0]] * 2, *ids[1:]]), "once, support and queries together"),
        (changed(support=lambda ids: [[TRAINED_ON, ids[0][1]], *ids[1:]]), f"got '{TRAINED_ON}', which is none of"),
        (changed(support=lambda ids: [ids[1], *ids[1:]]), "which is none of them"),
        (changed(query=lambda ids: [["nothing"], *ids[1:]]), "got 'nothing', which is none of them"),
        (changed(classes=lambda names: [names[0], names[0], names[2]]), "every class once in episode 0"),
        (changed(support=lambda ids: ids[:2]), "got 3 classes, 2 lists of support and 3 of queries"),
        (changed(**{side: lambda ids: ids[:1] for side in FIRST}), "at least two classes"),
        (changed(support=lambda ids: [[], *ids[1:]]), "a list of names in 'support'"),
        (changed(support=lambda ids: ["12", *ids[1:]]), "a list of names in 'support'"),
        (changed(classes=lambda names: [[], *names[1:]]), "a list of names in 'classes'"),
        (changed(query=lambda _: None), "a list 'query' in episode 0 of the manifest, got NoneType"),
    ],
)
def test_an_episode_that_no_data_set_has_is_refused(manifest, words):
    with pytest.raises(DataError, match=words):
        replay(SPLIT, manifest)


def test_a_manifest_of_other_examples_of_the_same_names_is_refused_and_one_of_unknown_content_is_not():
    here, there = (replace(SPLIT, content=content) for content in ("a", "b"))
    manifest = record(here, CHOICES)
    assert len(replay(here, manifest)) == 4
    with pytest.raises(DataError, match="got others of the same names"):
        replay(there, manifest)
    assert len(replay(there, replace(manifest, content=None))) == 4


def test_the_digest_is_of_the_episodes_and_stays_when_they_are_recorded_again(tmp_path):
    manifest = record(SPLIT, CHOICES)
    (tmp_path / "m.json").write_text(manifest.to_json())
    again = record(SPLIT, replay(SPLIT, read(tmp_path / "m.json")))
    assert again.digest == manifest.digest
    assert record(SPLIT, CHOICES[1:]).digest != manifest.digest
    assert record(replace(SPLIT, content="other"), CHOICES).digest != manifest.digest


HEAD = '"format": 1, "data_set": "x", "split": "test"'


@pytest.mark.parametrize("episodes", ['"abc"', "{}", "null", '["abc"]'])
def test_episodes_that_are_no_list_are_named(tmp_path, episodes):
    (tmp_path / "m.json").write_text(f'{{{HEAD}, "episodes": {episodes}}}')
    with pytest.raises(DataError, match="got: something else than a list of episodes as 'episodes'"):
        read(tmp_path / "m.json")
    (tmp_path / "m.json").write_text('{"format": 1, "data_set": 3, "split": "test", "episodes": []}')
    with pytest.raises(DataError, match="something else than text"):
        read(tmp_path / "m.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', "not json", '{"format": 1, "data_set": "x"}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match="manifest"):
        read(tmp_path / "m.json")
    with pytest.raises(DataError, match="expected a manifest in"):
        read(tmp_path / "nowhere.json")
