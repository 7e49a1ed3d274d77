"""What does a pickle hold, if it is only data? Read without running anything that stands in it.

A pickle is a program for a small stack machine, and two of its instructions call whatever the file names. This file is
such a machine without those powers: it knows the instructions that build plain values, and of the calls only the four
that make up a NumPy array. There is no import and no call by name in it, so a hostile file finds nothing to use.

Protocols 2 to 5. Python 2's strings come back as bytes, as with `pickle.loads(..., encoding="bytes")`, for the
file does not say whether they are text; `text` reads either.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from innerloop.errors import DataError

KEYS = (str, bytes, int, float, bool, type(None))
NEWEST_PROTOCOL = 5
MOST_AXES, LONGEST_AXIS = 32, 2**31
NUMERIC = re.compile(r"[biufc][0-9]{1,2}")


class _RefusedError(Exception):
    """What was found instead of data."""


class _Callee:
    """A name that a pickle may call, standing for itself: not the thing of that name."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Dtype:
    """An element type; its byte order comes after it is made."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class _Array:
    """An array, empty until its content comes."""

    array: NDArray[Any] | None = None


class _Parts(tuple[Any, ...]):
    """A tuple that holds any of the above, and so may be an argument but not a value."""


_RECONSTRUCT, _NDARRAY, _DTYPE = _Callee("_reconstruct"), _Callee("ndarray"), _Callee("dtype")
_SCALAR, _ENCODE = _Callee("scalar"), _Callee("encode")
_INNER: Final = (_Callee, _Dtype, _Array, _Parts)
_MARK: Final = _Callee("mark")

CALLEES: Mapping[tuple[str, str], _Callee] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("_codecs", "encode"): _ENCODE,
}


def read_pickle(content: bytes, where: str) -> Any:
    """Return what a pickle holds, if that is numeric NumPy arrays, dicts, lists, tuples and plain values only.

    Nothing is called and nothing is imported on the file's word, and no memory is set aside for a size that the file
    merely claims: whatever is built was in the file, byte by byte.

    Args:
        content: The whole file.
        where: What to call it in an error.

    Raises:
        DataError: It holds anything else, or is damaged.
    """
    try:
        return _Machine(content).run()
    except _RefusedError as refused:
        got = str(refused)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error):
        got = "a damaged or half-downloaded one"
    raise DataError(
        f"expected a pickle with nothing but numeric arrays, dicts, lists and plain values at '{where}', got {got}; "
        "fetch the file again from its official source"
    )


def text(value: object) -> str:
    """Return a string that Python 2 or 3 pickled; TypeError for anything else."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {type(value).__name__}")
    return value


class _Machine:
    """The stack machine of `pickletools`, with plain data only."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def run(self) -> Any:
        while (code := self.take(1)) != b".":
            instruction = INSTRUCTIONS.get(code)
            if instruction is None:
                raise _RefusedError(UNWANTED.get(code, f"one with the instruction {code!r}"))
            instruction(self)
        return self.value(self.pop())

    def take(self, count: int) -> bytes:
        """Read this many bytes; a slice, so a claim beyond the end costs nothing."""
        taken = self.content[self.at : self.at + count] if count >= 0 else b""
        if len(taken) != count:
            raise _RefusedError("a damaged or half-downloaded one")
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        self.take(count)

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def line(self) -> str:
        end = self.content.index(b"\n", self.at)
        line = self.take(end - self.at)
        self.take(1)
        return line.decode("ascii")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _RefusedError("a damaged or half-downloaded one")
        return value

    def pop_to_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    @staticmethod
    def value(value: Any) -> Any:
        """Return the value, if it is one and whole."""
        if isinstance(value, _Array) and value.array is not None:
            return value.array
        if isinstance(value, _INNER):
            raise _RefusedError("one with a part of an array in the place of a value")
        return value

    def tuple_of(self, values: list[Any]) -> None:
        whole = [each.array if isinstance(each, _Array) and each.array is not None else each for each in values]
        self.push(_Parts(whole) if any(isinstance(each, _INNER) for each in whole) else tuple(whole))

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise _RefusedError("one that appends to what is no list")
        target.extend(self.value(each) for each in values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise _RefusedError("one that sets the items of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # A key is hashed, and hashing a deeply nested tuple exhausts the C stack.
            if type(key) not in KEYS:
                raise _RefusedError(f"one with a {type(key).__name__} for a key")
            target[key] = self.value(value)

    def name(self, module: Any, name: Any) -> None:
        callee = CALLEES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if callee is None:
            raise _RefusedError(f"one that asks for {f'{module}.{name}'[:80]!a}")
        self.push(callee)

    def call(self) -> None:
        arguments, callee = self.pop(), self.pop()
        if not isinstance(arguments, tuple) or not isinstance(callee, _Callee):
            raise _RefusedError("one that calls what is no function")
        match callee.name, *arguments:
            case "_reconstruct", kind, _, _ if kind is _NDARRAY:
                self.push(_Array())
            case "dtype", str() | bytes() as name, *_:
                self.push(_Dtype(_numeric(text(name))))
            case "scalar", _Dtype() as kind, bytes() as raw if len(raw) == kind.dtype.itemsize:
                self.push(np.frombuffer(raw, kind.dtype)[0])
            case "encode", str() as characters, str() | bytes() as encoding if text(encoding) == "latin1":
                # One string encoded over and over would fill the memory from a small file.
                self.encoded += len(characters)
                if self.encoded > len(self.content):
                    raise _RefusedError("one that unpacks to more than the file holds")
                self.push(characters.encode("latin-1"))
            case _:
                raise _RefusedError(f"one that calls '{callee.name}' with something else than NumPy's own arguments")

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        match target, state:
            case _Dtype(), (int(), str() | bytes() as order, None, None, None, *_) if text(order) in (
                "<",
                ">",
                "|",
                "=",
            ):
                target.dtype = target.dtype.newbyteorder(text(order))  # type: ignore[arg-type]
            case _Array(array=None), (int(), tuple() as shape, _Dtype() as kind, fortran, bytes() as raw):
                target.array = _filled(shape, kind.dtype, bool(fortran), raw)
            case _:
                raise _RefusedError("one that sets the state of something else than a numeric array")

    def keep(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.push(self.memo[place])

    def protocol(self) -> None:
        if (protocol := self.number("<B")) > NEWEST_PROTOCOL:
            raise _RefusedError(f"one of protocol {protocol}")

    def integer(self) -> None:
        line = self.line()
        self.push({"00": False, "01": True}[line] if line in ("00", "01") else int(line))


def _numeric(name: str) -> np.dtype[Any]:
    if not NUMERIC.fullmatch(name):
        raise _RefusedError(f"one with elements of type {name[:20]!a}")
    return np.dtype(name)


def _filled(shape: tuple[Any, ...], dtype: np.dtype[Any], fortran: bool, raw: bytes) -> NDArray[Any]:
    """Return the array over these bytes, which must be exactly as many as its shape needs."""
    if len(shape) > MOST_AXES or not all(type(side) is int and 0 <= side < LONGEST_AXIS for side in shape):
        raise _RefusedError("one with an array of impossible shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise _RefusedError(f"one with {len(raw)} bytes for an array of shape {shape} and type {dtype}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


INSTRUCTIONS: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": _Machine.protocol,
    b"\x95": lambda m: m.skip(8),
    b"(": lambda m: m.push(_MARK),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _Machine.integer,
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.push(_little(m.take(m.number("<B")))),
    b"\x8b": lambda m: m.push(_little(m.take(m.number("<i")))),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    b"U": lambda m: m.push(m.take(m.number("<B"))),
    b"T": lambda m: m.push(m.take(m.number("<i"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"\x8c": lambda m: m.push(m.take(m.number("<B")).decode()),
    b"X": lambda m: m.push(m.take(m.number("<I")).decode()),
    b"\x8d": lambda m: m.push(m.take(m.number("<Q")).decode()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.tuple_of(m.pop_to_mark()),
    b"\x85": lambda m: m.tuple_of([m.pop()]),
    b"\x86": lambda m: m.tuple_of([m.pop(), m.pop()][::-1]),
    b"\x87": lambda m: m.tuple_of([m.pop(), m.pop(), m.pop()][::-1]),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"q": lambda m: m.keep(m.number("<B")),
    b"r": lambda m: m.keep(m.number("<I")),
    b"\x94": lambda m: m.keep(len(m.memo)),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*[m.pop(), m.pop()][::-1]),
    b"R": _Machine.call,
    b"b": _Machine.build,
}

UNWANTED: Mapping[bytes, str] = {
    b"P": "one with a persistent id",
    b"Q": "one with a persistent id",
    b"\x82": "one with an extension code",
    b"\x83": "one with an extension code",
    b"\x84": "one with an extension code",
    b"i": "one that makes an object of a class",
    b"o": "one that makes an object of a class",
    b"\x81": "one that makes an object of a class",
    b"\x92": "one that makes an object of a class",
}
