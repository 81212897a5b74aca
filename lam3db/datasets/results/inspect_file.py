"""The files of Inspect's logs: an archive of JSON, or one JSON document.

What must hold: an archive is never unpacked to disk, and no part of it, nor all of them
together, beyond a bound, whatever its directory claims. A layout or a compression that is not
read is refused with the way out: no sample is left out because it is stored in another way.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.whole import read_document
from lam3db.datasets.sheet import MIB
from lam3db.errors import InputError
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults

LARGEST_PART = 64 * MIB
LARGEST_TOTAL = 8192 * MIB
MOST_PARTS = 1_000_000
_HEADERS = ("header.json", "_journal/start.json", "start.json")
_SAMPLE = re.compile(r"samples/.+_epoch_\d+\.json", re.DOTALL)
_CHUNKED = re.compile(r"samples/.+_epoch_\d+/sample\.json", re.DOTALL)
_REDUCTIONS = "reductions.json"
NEWEST = 2
"""The log version that is read; 3 may hold samples in pieces, each under a folder of its own."""
_CONVERT = "convert it with `inspect log convert --to json`"
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError)


@dataclass(frozen=True, slots=True)
class Log:
    """A log: its header, and what yields (number from 1, sample), each time from the beginning."""

    header: Mapping[str, Any]
    samples: Callable[[Faults], Iterator[tuple[int, Mapping[str, Any]]]]


@contextmanager
def open_log(path: Path) -> Iterator[Log]:
    """Open a log for reading; raise InputError where it is none."""
    if path.suffix.lower() != ".eval":
        document = read_document(path, parse)
        yield Log(_checked(path, document), lambda faults: _listed(path, document, faults))
        return
    try:
        with zipfile.ZipFile(path) as archive:
            parts = _Parts(path, archive)
            yield Log(_checked(path, parts.header()), parts.samples)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: no archive of Inspect's: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def parse(text: str) -> Any:
    """Return a JSON value; NaN and infinities, which Inspect writes for unscored, are None."""
    try:
        return json.loads(text, parse_constant=lambda _name: None, parse_int=whole_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _Parts:
    """The parts of an archive; of a name that comes twice the last counts, as for Inspect."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._left = LARGEST_TOTAL
        self._infos = {info.filename: info for info in archive.infolist()}
        if len(self._infos) > MOST_PARTS:
            raise InputError(f"{path}: more than {MOST_PARTS:,} parts in the archive")

    def header(self) -> Any:
        name = next((name for name in _HEADERS if name in self._infos), None)
        if name is None:
            names = ", ".join(_HEADERS)
            raise InputError(f"{self._path}: none of {names} is in it; {_CONVERT}")
        try:
            return self._json(self._infos[name])
        except ValueError as error:
            raise InputError(f"{self._path}: {name}: {error}") from None

    def samples(self, faults: Faults) -> Iterator[tuple[int, Mapping[str, Any]]]:
        self._left = LARGEST_TOTAL
        names = sorted(name for name in self._infos if _SAMPLE.fullmatch(name))
        if any(_CHUNKED.fullmatch(name) for name in self._infos):
            raise InputError(f"{self._path}: holds samples in pieces; {_CONVERT}")
        if _REDUCTIONS in self._infos:
            faults.remarks.unread(_REDUCTIONS)
        for number, name in enumerate(names, 1):
            try:
                sample = self._json(self._infos[name])
            except ValueError as error:
                faults.add(number, name, str(error))
                continue
            if isinstance(sample, dict):
                yield number, sample
            else:
                faults.add(number, name, "no sample: an object is wanted")

    def _json(self, info: zipfile.ZipInfo) -> Any:
        """Return the value of a part; what its directory says of its size is not believed."""
        try:
            with self._archive.open(info) as stream:
                data = stream.read(LARGEST_PART + 1)
        except NotImplementedError:
            message = f"{info.filename} is compressed as Python before 3.14 cannot read (zstd?)"
            raise InputError(f"{self._path}: {message}; {_CONVERT}") from None
        except (*_BROKEN, RuntimeError) as error:  # RuntimeError: encrypted
            raise InputError(f"{self._path}: {info.filename} cannot be read: {error}") from None
        self._left -= len(data)
        if len(data) > LARGEST_PART or self._left < 0:
            bound = LARGEST_PART if len(data) > LARGEST_PART else LARGEST_TOTAL
            raise InputError(f"{self._path}: unpacks to more than {bound // MIB} MiB")
        return parse(data.decode("utf-8-sig"))


def _checked(path: Path, document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("eval"), dict):
        raise InputError(f'{path}: no log of Inspect\'s: an object with "eval" is wanted')
    version = document.get("version")
    if isinstance(version, int) and version > NEWEST:
        message = f"log version {version} is newer than what is read, {NEWEST}"
        raise InputError(f"{path}: {message}; {_CONVERT}")
    return document


def _listed(
    path: Path, document: Mapping[str, Any], faults: Faults
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    samples = document.get("samples")
    if not isinstance(samples, list):
        raise InputError(f"{path}: no samples in it: it was written without them")
    for number, sample in enumerate(samples, 1):
        if isinstance(sample, dict):
            yield number, sample
        else:
            faults.add(number, None, "no sample: an object is wanted")
