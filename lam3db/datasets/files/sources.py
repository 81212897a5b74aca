"""The files of one import: named one by one, in a folder, by a pattern, and unpacked.

What must hold: a file is taken once, in an order that does not depend on the file system; what a
folder or an archive holds beside is named; what unpacks is bounded in bytes, members and in
proportion to what it weighs, is written to a folder of this process alone under names of ours,
and is gone when the import is over.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from lam3db.datasets.files.remarks import Remarks

PACKED = (".gz", ".bz2", ".xz", ".zip")
MOST_FILES = 10_000
LARGEST_UNPACKED = 4 << 30
_SMALL = 64 << 20
_MOST_TIMES = 200
"""How often its own size a packed file above 64 MiB may unpack to; texts come to 3 to 30."""
_CHUNK = 1 << 20
_KEPT_PARENTS = 3
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error)
_BROKEN_PACKED = (*_BROKEN, lzma.LZMAError, zipfile.BadZipFile)
_OPENERS: Mapping[str, Callable[[BinaryIO], IO[bytes]]] = {
    ".gz": lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file)),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read, and what it is called where it lies: ``a.zip/b.csv``."""

    path: Path
    label: str


def expanded(
    paths: Sequence[Path], kinds: Collection[str], remarks: Remarks, *, folders: bool = False
) -> list[Path]:
    """Return the files that paths, folders and patterns name, each once.

    ``kinds`` are the endings that are read; with ``folders`` a folder is read as a whole.

    Raises:
        InputError: there is none, or more than can be meant.

    """
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _matches(path):
            if file.is_dir() and not folders:
                for inner in _files_in(file, kinds, remarks):
                    found.setdefault(inner.resolve(), inner)
            else:
                found.setdefault(file.resolve(), file)
            if len(found) > MOST_FILES:
                raise InputError(f"{path}: more than {MOST_FILES:,} files: name them")
    return list(found.values())


@contextmanager
def unpacked(
    paths: Sequence[Path], kinds: Collection[str], remarks: Remarks
) -> Iterator[list[Source]]:
    """Give the files to read: packed ones as files of a folder that is gone afterwards.

    Raises:
        InputError: a packed file is broken, holds nothing that is read, or unpacks without end.

    """
    labels = labels_of(paths)
    if not any(path.suffix.lower() in PACKED and path.is_file() for path in paths):
        yield [Source(path, label) for path, label in zip(paths, labels, strict=True)]
        return
    with tempfile.TemporaryDirectory(prefix="lam3db-import-") as folder:
        found: list[Source] = []
        for number, (path, label) in enumerate(zip(paths, labels, strict=True)):
            if path.suffix.lower() in PACKED and path.is_file():
                room = Path(folder, str(number), *_parents(path))
                room.mkdir(parents=True)
                found += _unpack(path, label, room, kinds, remarks)
            else:
                found.append(Source(path, label))
        yield found


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return what files are called beside one another: names, with folders where those differ."""
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    whole = [path.absolute() for path in paths]
    above = Path(os.path.commonpath(whole))
    return [path.relative_to(above).as_posix() for path in whole]


def name_of(paths: Sequence[Path]) -> str:
    """Return a name for all of them: that of the one, what their names begin with, or the folder's.

    Endings of packed files are left out: ``a.jsonl.gz`` is ``a``.
    """
    stems = [_stem(path) for path in paths]
    if len(set(stems)) == 1:
        return stems[0]
    equal = takewhile(lambda chars: len(set(chars)) == 1, zip(*stems, strict=False))
    start = "".join(chars[0] for chars in equal).rstrip("0123456789_-. ")
    return start or paths[0].absolute().parent.name or stems[0]


def _stem(path: Path) -> str:
    return path.with_suffix("").stem if path.suffix.lower() in PACKED[:-1] else path.stem


def _matches(path: Path) -> list[Path]:
    if path.exists() or not any(char in str(path) for char in "*?["):
        return [path]
    root = Path(path.anchor or ".")
    pattern = str(path.relative_to(path.anchor) if path.anchor else path)
    files = sorted(root.glob(pattern))
    if not files:
        raise InputError(f"{path}: no file has such a name")
    return files


def _files_in(folder: Path, kinds: Collection[str], remarks: Remarks) -> list[Path]:
    """Return the files of a folder that are read; remark on those that are not.

    A ``.txt`` in a folder tells people something; it is read as a table where it is named.
    """
    kinds = [kind for kind in kinds if kind != ".txt"]
    files = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if not file.is_file() or _is_hidden(parts):
            continue
        if is_read(file.name, kinds):
            files.append(file)
        else:
            remarks.unread(f"file {file.relative_to(folder).as_posix()}")
    if not files:
        raise InputError(f"{folder} is a folder without a file that is read: {', '.join(kinds)}")
    return files


def is_read(name: str, kinds: Collection[str]) -> bool:
    """Tell whether a file of this name is read, as it is or unpacked."""
    path = PurePosixPath(name.lower())
    if path.suffix in PACKED[:-1]:
        path = path.with_suffix("")
    return path.suffix in kinds or path.suffix == ".zip"


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def _parents(path: Path) -> tuple[str, ...]:
    """Return the names of the nearest folders, which a map may read."""
    return path.absolute().parent.parts[1:][-_KEPT_PARENTS:]


def _unpack(
    path: Path, label: str, room: Path, kinds: Collection[str], remarks: Remarks
) -> list[Source]:
    try:
        if path.suffix.lower() == ".zip":
            return _unzip(path, label, room, kinds, remarks)
        name = path.with_suffix("").name
        _refuse_unread(path, name, kinds)
        with path.open("rb") as file, _OPENERS[path.suffix.lower()](file) as stream:
            _write(path, stream, room / name, path.stat().st_size, 0)
        return [Source(room / name, label)]
    except InputError:
        raise
    except _BROKEN_PACKED as error:
        what = str(error) or type(error).__name__
        raise InputError(f"{path}: cannot be unpacked: {what}") from error


def _refuse_unread(path: Path, name: str, kinds: Collection[str]) -> None:
    if PurePosixPath(name).suffix.lower() not in kinds:
        raise InputError(f"{path}: {name!r} in it is none of {', '.join(kinds)}: unpack it")


def _unzip(
    path: Path, label: str, room: Path, kinds: Collection[str], remarks: Remarks
) -> list[Source]:
    found: list[Source] = []
    written = 0
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) > MOST_FILES:
            raise InputError(f"{path}: holds more than {MOST_FILES:,} files")
        for member in sorted(members, key=_inner):
            inner = _inner(member)
            if _is_hidden(inner.parts) and ".." not in inner.parts:
                continue
            if inner.is_absolute() or ".." in inner.parts:
                raise InputError(f"{path}: {member.filename!r} in it leads out of it")
            if inner.suffix.lower() not in kinds:
                remarks.unread(f"file {label}/{inner}")
                continue
            target = room / path.stem / str(len(found)) / inner
            target.parent.mkdir(parents=True)
            with archive.open(member) as stream:
                written = _write(path, stream, target, path.stat().st_size, written)
            found.append(Source(target, f"{label}/{inner}"))
    if not found:
        raise InputError(f"{path}: holds no file that is read: {', '.join(kinds)}")
    return found


def _inner(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _write(path: Path, stream: IO[bytes], target: Path, size: int, written: int) -> int:
    """Write a stream to a file; return the bytes written of its archive so far."""
    most = min(LARGEST_UNPACKED, max(_SMALL, _MOST_TIMES * size))
    with target.open("xb") as file:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise InputError(f"{path}: unpacks to more than {most >> 20} MiB")
            file.write(chunk)
    return written
