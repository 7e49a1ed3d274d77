import codecs
import io
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest

from innerloop.data.pickles import read_pickle
from innerloop.errors import DataError

ROWS = np.arange(24, dtype=np.uint8).reshape(4, 6)


class Python2(pickle._Pickler):
    """Writes strings as Python 2 did, text and bytes alike."""

    def save_string(self, value):
        content = value.encode("latin-1") if isinstance(value, str) else value
        short = len(content) < 256
        self.write((b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))) + content)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string}


def python_2(value) -> bytes:
    """Return what Python 2's `cPickle.dump(value, file, 2)` wrote: its strings, and NumPy's module names of then."""
    out = io.BytesIO()
    Python2(out, 2).dump(value)
    return out.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


class Hostile:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def refused(content: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read_pickle(content, "there")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back_as_they_were(protocol):
    value = {"a": [1, -2, 300, 70_000, 2**40, -(2**70), 0.5, True, None], 3: (), "t": (1, (2, "é"), [3, {}]), "l": []}
    assert read_pickle(pickle.dumps(value, protocol), "there") == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", "?", "<c8"])
def test_numeric_arrays_come_back_as_they_were(protocol, dtype):
    for array in (ROWS.astype(dtype), np.asfortranarray(ROWS.astype(dtype)), np.zeros((0, 5), dtype)):
        if array.size == 0 and protocol == 2:
            continue  # writes its empty content as a call of `bytes`
        back = read_pickle(pickle.dumps([array, array], protocol), "there")
        assert all(np.array_equal(each, array) and each.dtype == array.dtype for each in back)
    back = read_pickle(pickle.dumps(ROWS.astype(dtype)[1, 2], protocol), "there")
    assert back == ROWS.astype(dtype)[1, 2]


def test_python_2s_arrays_and_strings_come_back_strings_as_bytes():
    content = python_2({"data": ROWS, "labels": [1, 2], "long": "x" * 300})
    assert b"U\x04data" in content
    assert b"_codecs" not in content
    back, real = read_pickle(content, "there"), pickle.loads(content, encoding="bytes")
    assert np.array_equal(back.pop(b"data"), real.pop(b"data"))
    assert back == real == {b"labels": [1, 2], b"long": b"x" * 300}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_call_in_a_pickle_is_refused_and_never_made(tmp_path, protocol):
    marker = tmp_path / "it ran"
    for function, arguments in ((os.system, (f"touch '{marker}'",)), (eval, (f"open({str(marker)!r}, 'w')",))):
        for value in (Hostile(function, *arguments), [{"deep": (1, [Hostile(function, *arguments)])}]):
            refused(pickle.dumps(value, protocol), r"got one that asks for '.*(system|eval)'; fetch")
    assert not marker.exists()


def test_the_marker_would_have_shown_a_call(tmp_path):
    pickle.loads(pickle.dumps(Hostile(os.system, f"touch '{tmp_path / 'it ran'}'")))
    assert (tmp_path / "it ran").exists()


@pytest.mark.parametrize(
    "value",
    [OrderedDict(a=1), Fraction(1, 2), np.zeros, {1, 2}, frozenset({1}), bytearray(b"a"), 1j, Hostile(list, ())],
)
def test_any_other_kind_of_value_is_refused(value):
    refused(pickle.dumps(value, 4), r"expected a pickle with nothing but numeric arrays.* at 'there', got one")
    refused(pickle.dumps([value], 5), r"expected a pickle with nothing but numeric arrays.* at 'there', got one")


@pytest.mark.parametrize(
    "array", [np.array([{}, 1], object), np.zeros(2, "i4,f4"), np.array(["a"]), np.array(["2020"], "M8[D]")]
)
def test_arrays_of_objects_records_text_and_dates_are_refused(array):
    refused(pickle.dumps(array, 4), r"got one with elements of type")
    refused(pickle.dumps({"data": array}, 2), r"got one with elements of type")


def test_numpys_own_functions_take_numpys_own_arguments_only():
    refused(b"\x80\x02cnumpy\nndarray\n)R.", r"calls 'ndarray' with something else")
    refused(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", r"calls 'encode'")
    refused(b"\x80\x02cnumpy\nndarray\n.", r"a part of an array in the place of a value")
    refused(b"\x80\x02]cnumpy\nndarray\n\x85a.", r"a part of an array in the place of a value")
    refused(b"\x80\x02}K\x01b.", r"sets the state of something else")


def test_persistent_ids_and_extension_codes_are_refused():
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return "elsewhere" if value == 7 else None

    out = io.BytesIO()
    Pickler(out, 4).dump([7])
    refused(out.getvalue(), r"got one with a persistent id")
    refused(b"\x80\x02\x82\x01.", r"got one with an extension code")
    refused(b"P1\n.", r"got one with a persistent id")


def test_every_truncation_of_a_pickle_is_refused():
    for content in (python_2({"data": ROWS, "labels": [1, 2]}), pickle.dumps({"data": ROWS, "labels": [1, 2]}, 4)):
        for end in range(len(content)):
            refused(content[:end], r"at 'there', got .*; fetch the file again from its official source")


def test_garbage_is_refused():
    random = np.random.RandomState(0)
    messages = []
    for _ in range(2000):
        content = bytearray(pickle.dumps({"data": ROWS, "labels": [1, 2], "t": (1, "a")}, 4))
        for place in random.randint(0, len(content), 3):
            content[place] = random.randint(256)
        try:
            read_pickle(bytes(content), "there")
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 500
    assert not any("\n" in message for message in messages)
    refused(b"not a pickle at all", r"got")
    refused(b"", r"got a damaged or half-downloaded one")
    refused(b"\x80\xff.", r"got one of protocol 255")


def test_sizes_that_a_file_only_claims_set_no_memory_aside():
    shape = pickle.dumps(ROWS, 2).replace(b"K\x04K\x06\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86")
    one = pickle.dumps([np.uint8(1), "x" * 10_000], 2)
    claims = {
        r"24 bytes for an array of shape|impossible shape": shape,
        r"half-downloaded": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
        r"half-downloaded one;": b"\x80\x02T" + struct.pack("<i", -5) + b"abc.",
        r"damaged": b"\x80\x02K\x01r" + struct.pack("<I", 2**32 - 1) + b"j" + struct.pack("<I", 2**31) + b".",
        r"unpacks to more than the file holds": b"\x80\x02X"
        + struct.pack("<I", 10**5)
        + b"x" * 10**5
        + b"q\x00X\x06\x00\x00\x00latin1q\x01c_codecs\nencode\nq\x02"
        + b"h\x02h\x00h\x01\x86R" * 1000
        + b".",
    }
    assert len(read_pickle(one, "there")) == 2
    for match, content in claims.items():
        tracemalloc.start()
        refused(content, match)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * len(content) + 100_000


def test_lists_that_hold_each_other_ten_times_over_cost_only_references():
    laughs = b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 9 + b"eq" + bytes([level + 1]) for level in range(60)
    )
    tracemalloc.start()
    read_pickle(laughs + b".", "there")
    assert tracemalloc.get_traced_memory()[1] < 100 * len(laughs)
    tracemalloc.stop()


def test_a_deep_nest_neither_overflows_nor_crashes():
    read_pickle(b"\x80\x02)" + b"\x85" * 60_000 + b".", "there")
    refused(b"\x80\x02})" + b"\x85" * 60_000 + b"K\x01s.", r"got one with a tuple for a key")


def test_bytes_that_protocol_2_writes_as_latin_1_come_back():
    value = bytes(range(256))
    content = pickle.dumps(value, 2)
    assert b"_codecs" in content
    assert read_pickle(content, "there") == value == codecs.encode(value.decode("latin-1"), "latin-1")
