"""The files of a zip archive or of a folder, listed and read alike; nothing is ever extracted to disk."""

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

from innerloop.errors import DataError

LARGEST = 100_000_000  # bytes one file may have; a photograph of 50 megapixels has some 30 million

# bz2 and lzma decompress whole blocks at once, so that reading them cannot stop at a number of bytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# All that the standard library raises for hostile or damaged archives; RuntimeError stands for encrypted members.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, RuntimeError)


def files(source: Path, suffixes: Sequence[str], largest: int = LARGEST) -> list[tuple[str, Callable[[], bytes]]]:
    """List the files that end in one of these suffixes, each with a function that reads it.

    Hidden files and the `__MACOSX` folder of zips made on a Mac are passed over. A zip is opened once, at the first
    read, and stays open as long as one of the functions is held; they are meant for one thread.

    Args:
        source: A zip archive or a folder.
        suffixes: In lower case with the dot; a file's own case does not matter.
        largest: Bytes that one file may have.

    Returns:
        (path inside the source with `/` between its parts, function returning the content), sorted by path.

    Raises:
        DataError: Neither a folder nor a whole zip; a path or a link that leads outside; a file above `largest`. The
            functions raise it for what cannot be read.
    """
    if source.is_dir():
        return [(name, partial(_read_file, path, largest)) for name, path in _in_folder(source, suffixes, largest)]
    if source.is_file():
        archive = _Archive(source, largest)
        return [(info.filename, partial(archive.read, info)) for info in _in_zip(source, suffixes, largest)]
    raise DataError(f"expected a zip archive or a folder at '{source}', got neither; check the path")


def fingerprint(source: Path, suffixes: Sequence[str]) -> str:
    """Return a digest that changes whenever the files would.

    Of a zip the content is read; of a folder every file's path, size and times of change.
    """
    if source.is_file():
        try:
            with source.open("rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as error:
            raise DataError(_unreadable(str(source), error)) from error
    return states(_in_folder(source, suffixes, LARGEST))


def states(listed: Iterable[tuple[str, Path]]) -> str:
    """Return a digest of files' names, sizes and times of change, which changes whenever one of them would.

    The inode's time of change is among them: files of one size that change places keep all the rest.
    """
    digest = hashlib.sha256()
    for name, path in listed:
        state = path.stat()
        digest.update(repr((name, state.st_size, state.st_mtime_ns, state.st_ctime_ns)).encode())
    return digest.hexdigest()


def one_line(error: BaseException) -> str:
    """Return the error's message without line breaks and addresses in memory, or its kind where it has none."""
    plain = re.sub(r" *<_io\.[^>]*>", "", str(error))
    return " ".join(plain.split()) or type(error).__name__


class _Archive:
    """A zip that is opened at the first read and kept open."""

    def __init__(self, source: Path, largest: int) -> None:
        self.source = source
        self.largest = largest

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return _opened(self.source)

    def read(self, info: zipfile.ZipInfo) -> bytes:
        archive = self._zip
        try:
            with archive.open(info) as handle:
                content = handle.read(self.largest + 1)
        except _DAMAGE as error:
            raise DataError(
                f"expected to read '{info.filename}' in '{self.source}', got: {one_line(error)}; "
                "the archive is damaged or half-downloaded: fetch it again"
            ) from error
        return _within(content, f"{self.source}/{info.filename}", self.largest)


def _opened(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except _DAMAGE as error:
        raise DataError(
            f"expected a whole zip archive at '{source}', got a damaged or half-downloaded one ({one_line(error)}); "
            "delete it and fetch it again"
        ) from error


def _in_zip(source: Path, suffixes: Sequence[str], largest: int) -> list[zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    with _opened(source) as archive:
        members = archive.infolist()
    for info in members:
        parts = re.split(r"[/\\]", info.filename)
        if not parts[0] or ":" in parts[0] or ".." in parts:
            raise DataError(
                f"expected paths inside the archive '{source}', got '{one_line(ValueError(info.filename))}', which "
                "leads outside; do not trust this archive, fetch it from its source"
            )
        if info.is_dir() or not _wanted(info.filename, suffixes):
            continue
        if info.filename in found:
            raise DataError(f"expected every file of '{source}' once, got '{info.filename}' twice; fetch it again")
        if info.compress_type not in _METHODS:
            raise DataError(
                f"expected '{info.filename}' in '{source}' stored or deflated, got zip method {info.compress_type}; "
                "pack the archive again with a plain zip"
            )
        if info.file_size > largest:
            raise DataError(_too_large(f"{source}/{info.filename}", info.file_size, largest))
        found[info.filename] = info
    return [found[name] for name in sorted(found)]


def _in_folder(source: Path, suffixes: Sequence[str], largest: int) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    home = source.resolve()
    for path in _walk(home):
        name = path.relative_to(home).as_posix()
        if path.is_symlink():
            _check_link(source, home, path)
        if not _wanted(name, suffixes):
            continue
        try:
            name.encode()
            state = path.stat()
        except (OSError, UnicodeEncodeError) as error:
            raise DataError(_unreadable(f"{source}/{ascii(name)[1:-1]}", error)) from error
        if not stat.S_ISREG(state.st_mode):
            raise DataError(f"expected a file at '{path}', got something else (a pipe or a device); remove it")
        if state.st_size > largest:
            raise DataError(_too_large(str(path), state.st_size, largest))
        found.append((name, path))
    return sorted(found)


def _walk(home: Path) -> Iterator[Path]:
    """Yield the files below, and the links to folders."""

    def refuse(error: OSError) -> None:
        raise DataError(_unreadable(str(error.filename), error)) from error

    for folder, below, names in os.walk(home, onerror=refuse):
        below[:] = [name for name in below if not _hidden(name)]
        yield from (Path(folder, name) for name in names)
        yield from (path for path in (Path(folder, name) for name in below) if path.is_symlink())


def _check_link(source: Path, home: Path, path: Path) -> None:
    name = path.relative_to(home).as_posix()
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"expected links inside the folder '{source}', got '{name}', which leads in a circle; remove it"
        ) from error
    if not target.is_relative_to(home):
        raise DataError(
            f"expected links inside the folder '{source}', got '{name}', which leads outside to '{target}'; "
            "copy what it points to into the folder"
        )
    # os.walk does not enter it, and what lies behind would count twice if it did.
    if target.is_dir():
        raise DataError(f"expected folders under '{source}', got '{name}', a link to one; remove the link")


def _wanted(name: str, suffixes: Sequence[str]) -> bool:
    return name.lower().endswith(tuple(suffixes)) and not any(map(_hidden, name.split("/")))


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _read_file(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as handle:
            content = handle.read(largest + 1)
    except OSError as error:
        raise DataError(_unreadable(str(path), error)) from error
    return _within(content, str(path), largest)


def _within(content: bytes, where: str, largest: int) -> bytes:
    # The declared size was checked already, but a header can lie and a file can grow.
    if len(content) > largest:
        raise DataError(_too_large(where, len(content), largest))
    return content


def _too_large(where: str, size: int, largest: int) -> str:
    return f"expected at most {largest:,} bytes at '{where}', got {size:,} or more; remove the file or make it smaller"


def _unreadable(where: str, error: Exception) -> str:
    reason = "a name that is not UTF-8" if isinstance(error, UnicodeError) else one_line(error)
    return f"expected to read '{where}', got: {reason}; check its name and permissions"
