import io
import zipfile

import numpy as np
import pytest

from innerloop.data import arrays
from innerloop.data.arrays import load, load_arrays, sides
from innerloop.errors import DataError

INPUTS = np.arange(24, dtype=np.float64).reshape(4, 3, 2)
LABELS = np.array([5, 5, -1, 5], np.int32)
SPLITS = np.array(["train", "train", "val", "train"])


def packed(root, save=np.savez, **content):
    save(root / "mine.npz", **content)
    return root


def paired(root, **content):
    for key, array in content.items():
        np.save(root / f"{key}.npy", array)
    return root


def members(root, **content):
    """Write an .npz from raw bytes."""
    with zipfile.ZipFile(root / "mine.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, each in content.items():
            archive.writestr(f"{key}.npy", each)
    return root


def raw(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(shape, descr="<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def refused(root, message):
    with pytest.raises(DataError, match=message) as caught:
        load_arrays(root)
    assert "\n" not in str(caught.value)
    assert "allow_pickle" not in str(caught.value)  # which nothing here has


def refuse_to_run(*_, **__):
    pytest.fail("it was read before it was checked")


def compressed(root, **content):
    return packed(root, np.savez_compressed, **content)


LAYOUTS = pytest.mark.parametrize("make", [packed, compressed, paired])


@LAYOUTS
def test_inputs_labels_and_splits_are_read(make, tmp_path):
    inputs, labels, splits = load_arrays(make(tmp_path, inputs=INPUTS, labels=LABELS, splits=SPLITS))
    assert (inputs.dtype, labels.dtype) == (np.float32, np.int64)
    assert np.array_equal(inputs, INPUTS)
    assert labels.tolist() == [5, 5, -1, 5]
    assert splits is not None
    assert splits.tolist() == ["train", "train", "validation", "train"]
    assert sides(labels, splits) == {"train": ["5"], "validation": ["-1"]}


@LAYOUTS
def test_splits_may_be_left_out(make, tmp_path):
    assert load_arrays(make(tmp_path, inputs=INPUTS, labels=LABELS))[2] is None


def test_an_npz_may_be_named_itself(tmp_path):
    packed(tmp_path, inputs=INPUTS, labels=LABELS)
    np.savez(tmp_path / "other.npz", inputs=INPUTS, labels=LABELS)
    assert len(load_arrays(tmp_path / "other.npz")[0]) == 4


@LAYOUTS
@pytest.mark.parametrize(
    ("given", "becomes"),
    [("f2", "f4"), ("f4", "f4"), (">f4", "f4"), ("f8", "f4"), ("u1", "u1"), (">i4", "i4"), ("i8", "i8"), ("?", "u1")],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_become_float32_and_integers_stay(make, given, becomes, order, tmp_path):
    array = np.array([[0, 1], [1, 0], [1, 1], [0, 0]], given, order=order)
    inputs, _, _ = load_arrays(make(tmp_path, inputs=array, labels=LABELS))
    assert inputs.dtype == np.dtype(becomes)
    assert inputs.dtype.isnative
    assert np.array_equal(inputs, array)


@pytest.mark.parametrize("given", ["f4", "u1", "?"])
def test_large_npy_files_stay_on_disk_and_are_never_written(given, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    root = paired(tmp_path, inputs=np.ones((4, 2), given), labels=LABELS)
    inputs, _, _ = load_arrays(root)
    assert isinstance(inputs, np.memmap)
    assert inputs.dtype == np.dtype("f4" if given == "f4" else "u1")
    inputs[0] = 7
    assert load_arrays(root)[0].max() == 1


@LAYOUTS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_values_that_are_not_finite_are_refused_by_example(make, value, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_CHUNK", 12)  # two examples at a time, so that the third is in the second piece
    inputs = INPUTS.copy()
    inputs[2, 1, 0] = value
    with np.errstate(over="ignore"):
        inputs = inputs.astype(kind)
    root = make(tmp_path, inputs=inputs, labels=LABELS)
    refused(root, r"finite float32 values at '.*inputs.*', got NaN or infinity in example 2; remove")


@LAYOUTS
@pytest.mark.parametrize(
    "labels", [LABELS.astype(float), LABELS.astype(str), LABELS > 0, LABELS[:, None]], ids=["f", "str", "bool", "2d"]
)
def test_labels_that_are_not_integers_are_refused(make, labels, tmp_path):
    refused(make(tmp_path, inputs=INPUTS, labels=labels), r"expected integer labels \[example\] at '.*labels.*', got ")


def test_labels_beyond_int64_are_refused(tmp_path):
    labels = np.array([1, 2, 3, 2**63], np.uint64)
    refused(packed(tmp_path, inputs=INPUTS, labels=labels), r"labels that fit int64 at '.*', got 9223372036854775808")


@LAYOUTS
def test_lengths_that_differ_are_refused(make, tmp_path):
    refused(make(tmp_path, inputs=INPUTS, labels=LABELS[:3]), r"got 4 inputs, 3 labels; save them together")
    refused(make(tmp_path, inputs=INPUTS, labels=LABELS, splits=SPLITS[:2]), r"got 4 inputs, 4 labels, 2 splits")


@LAYOUTS
def test_pickled_objects_are_refused_and_never_loaded(make, tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    trap = np.array([Trap() for _ in range(4)], object)
    plain = {"inputs": INPUTS, "labels": LABELS, "splits": SPLITS}
    for key in plain:
        refused(make(tmp_path, **plain | {key: trap}), rf"at '.*{key}.*', got pickled objects, which are never loaded")


@LAYOUTS
def test_inputs_that_are_no_numbers_or_have_no_axis_of_their_own_are_refused(make, tmp_path):
    for inputs, message in (
        (INPUTS.astype(str), r"expected numbers at '.*', got <U"),
        (INPUTS.astype(complex), r"expected numbers at '.*', got complex128"),
        (INPUTS[:, 0, 0], r"at least one axis more at '.*', got shape \(4,\); .*inputs\[:, None\]"),
        (np.float64(3), r"at least one axis more at '.*', got shape \(\)"),
        (INPUTS[:0], r"expected \[example \.\.\.\] at '.*', got an empty array \(0, 3, 2\)"),
    ):
        refused(make(tmp_path, inputs=inputs, labels=LABELS), message)


@LAYOUTS
def test_split_names_that_are_unknown_are_refused(make, tmp_path):
    for splits, message in (
        (np.array(["train", "train", "tset", "test"]), r"train, validation or test at '.*splits.*', got 'tset'"),
        (np.array([b"train", b"train", b"\xff\n", b"test"]), r"got '\\ufffd\\n'; correct"),
        (np.array([0, 0, 1, 2]), r"expected split names \[example\] at '.*splits.*', got int64 of shape"),
        (SPLITS[:, None], r"got <U5 of shape \(4, 1\)"),
    ):
        refused(make(tmp_path, inputs=INPUTS, labels=LABELS, splits=splits), message)


def test_split_names_may_be_bytes(tmp_path):
    _, _, splits = load_arrays(packed(tmp_path, inputs=INPUTS, labels=LABELS, splits=SPLITS.astype("S")))
    assert splits is not None
    assert splits[2] == "validation"


def test_missing_keys_are_refused_with_those_that_are_there(tmp_path):
    refused(packed(tmp_path, x=INPUTS, labels=LABELS), r"the keys inputs and labels in '.*mine\.npz', got labels, x;")


def test_missing_and_ambiguous_files_are_refused(tmp_path):
    either = r"expected either one \.npz or inputs\.npy and labels\.npy under '.*', got "
    refused(tmp_path, either + "neither; set")
    refused(tmp_path / "nowhere", either + "neither; set")
    refused(paired(tmp_path, inputs=INPUTS), either + r"'inputs\.npy'; set")
    refused(
        packed(paired(tmp_path, labels=LABELS), inputs=INPUTS), either + r"'inputs\.npy', 'labels\.npy', 'mine\.npz'"
    )


def test_a_half_downloaded_npz_is_refused(tmp_path):
    root = packed(tmp_path, inputs=INPUTS, labels=LABELS)
    whole = (root / "mine.npz").read_bytes()
    for count in (0, 100, len(whole) - 30):
        (root / "mine.npz").write_bytes(whole[:count])
        refused(root, r"expected a whole \.npz at '.*mine\.npz', got a damaged one \(")


def test_damaged_content_of_an_npz_is_refused(tmp_path):
    root = packed(tmp_path, inputs=INPUTS, labels=LABELS)
    content = (root / "mine.npz").read_bytes()
    (root / "mine.npz").write_bytes(content.replace(np.float64(23).tobytes(), np.float64(24).tobytes()))
    refused(root, r"expected a whole array at '.*inputs', got: Bad CRC-32.*; save it again")


def test_a_half_downloaded_npy_is_refused(tmp_path):
    root = paired(tmp_path, inputs=INPUTS, labels=LABELS)
    whole = (root / "inputs.npy").read_bytes()
    for count, got in ((0, "EOF"), (50, "EOF"), (len(whole) - 8, "312 bytes where its header promises 320")):
        (root / "inputs.npy").write_bytes(whole[:count])
        refused(root, rf"expected a whole array at '.*inputs\.npy', got: {got}.*; save it again")


def test_a_file_that_is_no_array_is_refused(tmp_path):
    root = paired(tmp_path, labels=LABELS)
    (root / "inputs.npy").write_bytes(b"<html>not found</html>")
    refused(root, r"expected a whole array at '.*inputs\.npy', got: .*magic")


def test_a_long_header_is_refused_without_advice_that_nobody_can_follow(tmp_path):
    whole = header((4,), [(f"f{number}", "<f8") for number in range(2000)])
    refused(members(tmp_path, inputs=whole, labels=raw(LABELS)), r"inputs', got: .*may not be safe")


@pytest.mark.parametrize("shape", [(10**12,), (2**40, 2**40), (2**32, 2**32, 2), (-1, 3), (4, 2)])
def test_a_header_that_promises_more_than_is_there_is_refused_before_allocating(shape, tmp_path, monkeypatch):
    monkeypatch.setattr(np.lib.format, "read_array", refuse_to_run)
    refused(members(tmp_path, inputs=header(shape) + b"0", labels=raw(LABELS)), r"inputs', got: .*header promises")
    (tmp_path / "mine.npz").unlink()
    (paired(tmp_path, labels=LABELS) / "inputs.npy").write_bytes(header(shape) + b"0")
    refused(tmp_path, r"inputs\.npy', got: .*header promises")


def test_a_zip_bomb_is_refused_by_its_declared_size_before_unpacking(tmp_path, monkeypatch):
    root = members(tmp_path, inputs=header((1_000_000,), "|u1") + bytes(1_000_000), labels=raw(LABELS))
    monkeypatch.setattr(arrays, "SUSPICIOUS", 1_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "open", refuse_to_run)
    refused(root, r"'inputs\.npy' in '.*mine\.npz' to unpack to at most 200 times its [\d,]+ bytes, got 1,000,")


def test_a_zip_method_numpy_does_not_write_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("inputs.npy", raw(INPUTS))
        archive.writestr("labels.npy", raw(LABELS))
    refused(tmp_path, r"as np\.savez writes it, got zip method 14")


def test_without_splits_classes_are_divided_64_16_20_the_same_way_always():
    found = sides(np.repeat(np.arange(100) * 3, 2)[::-1])
    assert {side: len(names) for side, names in found.items()} == {"train": 64, "validation": 16, "test": 20}
    assert sorted(int(name) for names in found.values() for name in names) == [3 * number for number in range(100)]
    # The permutation is stated and fixed: RandomState(0) over the sorted labels.
    last = np.random.RandomState(0).permutation(100)[80:]
    assert found["test"] == [str(3 * number) for number in sorted(last.tolist())]
    assert found["test"][:5] == ["27", "36", "63", "75", "108"]


@pytest.mark.parametrize("count", range(10, 40))
def test_ten_classes_are_enough_to_divide(count):
    assert min(len(names) for names in sides(np.arange(count)).values()) >= 2


def test_fewer_classes_than_ten_are_refused_without_splits():
    with pytest.raises(
        DataError, match=r"at least 2 classes for each of .*, got 9 classes to divide .*; give `splits`"
    ):
        sides(np.arange(9))


def test_a_class_in_two_splits_is_refused_by_its_label():
    with pytest.raises(DataError, match=r"every class in one split, got label 5 in train and test; give all"):
        sides(np.array([5, 5, 6]), np.array(["test", "train", "train"]))


def test_examples_that_stand_in_two_classes_are_left_out_and_listed(tmp_path):
    inputs = np.arange(24, dtype=np.float32).reshape(12, 2)
    inputs[9] = inputs[0]
    labels = np.repeat(np.arange(6), 2)
    np.savez(tmp_path / "a.npz", inputs=inputs, labels=labels, splits=np.repeat(["train", "validation", "test"], 4))
    data = arrays.load(str(tmp_path / "a.npz"))
    assert [(each.name, each.reason) for each in data.left_out] == [
        ("0", "same content in 0 and 4"),
        ("9", "same content in 0 and 4"),
    ]
    assert data.classes("train").members[0].tolist() == [1]
    assert data.classes("test").members[0].tolist() == [8]


def test_classes_that_lose_all_examples_are_not_in_the_data_set(tmp_path):
    inputs = np.array([[0.0], [1], [2], [2], [3], [4]])
    sides_of = ["train"] * 4 + ["test"] * 2
    packed(tmp_path, inputs=inputs, labels=[0, 1, 2, 3, 4, 5], splits=sides_of)
    assert load(str(tmp_path)).split("train").class_names == ("0", "1")
    packed(tmp_path, inputs=np.zeros((4, 1)), labels=[0, 1, 2, 3], splits=["train", "train", "test", "test"])
    with pytest.raises(DataError, match="example 0 has the same content in 0 and 1 and 2 and 3; correct"):
        load(str(tmp_path))


def test_the_content_tells_files_of_the_same_names_apart(tmp_path):
    content = []
    for number, values in enumerate(([0.0, 1, 2, 3], [0.0, 1, 2, 4], [0.0, 1, 2, 3])):
        place = tmp_path / str(number)
        place.mkdir()
        packed(place, inputs=np.array(values)[:, None], labels=[0, 1, 2, 3], splits=["train"] * 2 + ["test"] * 2)
        content.append(load(str(place)).classes("test").content)
    assert content[0] == content[2] != content[1]


def test_more_examples_than_could_be_told_apart_are_refused_before_they_are_loaded(tmp_path):
    for key, descr in (("splits", "<U0"), ("labels", "|i1")):
        content = {"inputs": raw(INPUTS), "labels": raw(LABELS), key: header((10**12,), descr)}
        refused(members(tmp_path, **content), "expected (at most 10,000,000 examples|a whole array)")
    refused(members(tmp_path, inputs=raw(INPUTS), labels=raw(LABELS), splits=header((4,), "<U0")), "an empty array")
