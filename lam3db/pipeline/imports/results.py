"""Results that others stored, into the store: samples, answers and what judges said of them.

A file is looked at before anything is stored, to find every fault and to know every sample; a large
one is then read a second time, so that its answers are never all held. Everything is stored in
one transaction. What must hold: nothing is stored where anything is wrong; the same file again
changes nothing; an attempt without an answer is asked for by a run and has none, so it is in
every denominator; what is imported can be judged again like our own.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.collector import uncollected
from lam3db.datasets.faults import Faults
from lam3db.datasets.files.remarks import Remarks
from lam3db.datasets.files.sources import expanded, unpacked
from lam3db.datasets.results.files import KINDS
from lam3db.errors import InputError, MediaError
from lam3db.hashing import file_sha256
from lam3db.media import MediaRoot, bytes_of, named
from lam3db.pipeline.ending import sum_up
from lam3db.pipeline.imports.storing import ResultsIn, Stored
from lam3db.pipeline.imports.survey import Survey, survey
from lam3db.pipeline.watch import Silence, Watch
from lam3db.store.purge import withheld_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.files.sources import Source
    from lam3db.datasets.results.formats import Reader, ReadOptions
    from lam3db.datasets.results.record import ResultRecord
    from lam3db.store.engine import Store


_ENDINGS = (*KINDS, ".eval")
KEPT = 256 << 20
"""Bytes of a file whose records are held between looking and storing, and of their answers.

A compressed file may hold far more than it weighs.
"""


@dataclass(frozen=True, slots=True)
class ImportJob:
    """What is to be read. ``dataset`` names the dataset of records that name none.

    ``path`` is a file, a folder or a pattern, ``others`` are further ones: all are one import.
    ``reader`` reads one file, ``read_all`` all of them where they hang together (a map).
    ``folders``: the reader takes a folder as a whole.
    ``origin`` is what runs record of the import: the format or the map's digest. ``repeats``
    says what unnumbered rows under one sample and model are (``copies`` or ``draws``),
    ``first_replicate`` with which number (0 or 1) the file begins to count.
    """

    path: Path
    reader: Reader
    options: ReadOptions
    origin: Mapping[str, Any]
    dataset: str
    repeats: str | None = None
    first_replicate: int | None = None
    others: tuple[Path, ...] = ()
    read_all: Callable[..., Iterator[ResultRecord]] | None = None
    folders: bool = False

    @property
    def name(self) -> str:
        """What the import is called."""
        more = f" and {len(self.others)} more" if self.others else ""
        return f"{self.path.name}{more}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in: what was in the file, and what became of it."""

    seen: Survey
    stored: Stored


def look(job: ImportJob, kept: list[ResultRecord] | None = None) -> Survey:
    """Read everything once and store nothing; ``kept`` gets every record, where it is given.

    Raises:
        InputError: everything that is wrong with the file.

    """
    faults = Faults(job.path)
    with _sources(job, faults.remarks) as sources:
        return _look(job, sources, faults, kept)


def _look(
    job: ImportJob, sources: Sequence[Source], faults: Faults, kept: list[ResultRecord] | None
) -> Survey:
    records = _records(job, sources, faults)
    if kept is not None:
        records = _keeping(records, kept)
    return survey(records, faults, job.dataset, job.repeats)


@contextmanager
def _sources(job: ImportJob, remarks: Remarks) -> Iterator[list[Source]]:
    paths = expanded((job.path, *job.others), _ENDINGS, remarks, folders=job.folders)
    with unpacked(paths, _ENDINGS, remarks) as sources:
        yield sources


def _records(job: ImportJob, sources: Sequence[Source], faults: Faults) -> Iterator[ResultRecord]:
    """Yield the records of all files; what is wrong with one is told with its name."""
    paths = {str(one.path): one.label for one in sources}
    try:
        if job.read_all is not None:
            files = [one.path for one in sources]
            labels = [one.label for one in sources]
            name = job.dataset if len(files) > 1 else files[0].stem
            yield from job.read_all(files, faults, job.options, name, labels)
            return
        for source in sources:
            if len(sources) > 1:
                faults.source, faults.file = source.label, ""
            yield from job.reader(source.path, faults, job.options)
    except InputError as error:
        if error.faults or (len(sources) == 1 and sources[0].path == job.path):
            raise
        path = next((path for path in paths if str(error).startswith(path)), None)
        if path is None:
            raise
        raise InputError(str(error).replace(path, paths[path], 1)) from error


def _keeping(records: Iterator[ResultRecord], kept: list[ResultRecord]) -> Iterator[ResultRecord]:
    """Keep what comes by, unless it grows far beyond its file: then keep nothing."""
    size = 0
    for record in records:
        size += len(record.response or "")
        if size <= KEPT:
            kept.append(record)
        else:
            kept.clear()
        yield record


def import_results(store: Store, job: ImportJob, watch: Watch | None = None) -> Imported:
    """Store what a file holds.

    Raises:
        InputError: everything that is wrong with the file; nothing was stored.
        ConfigError: an option is wrong.

    """
    with uncollected():
        done = _import(store, job, watch or Silence())
    sum_up(store)
    return done


def _import(store: Store, job: ImportJob, watch: Watch) -> Imported:
    faults = Faults(job.path)
    with _sources(job, faults.remarks) as sources:
        return _import_sources(store, job, watch, sources, faults)


def _import_sources(
    store: Store, job: ImportJob, watch: Watch, sources: Sequence[Source], faults: Faults
) -> Imported:
    paths = [*dict.fromkeys(_originals(job))]
    before, size = _state_of(paths)
    kept: list[ResultRecord] | None = [] if size <= KEPT else None
    seen = _look(job, sources, faults, kept)
    images = job.options.images
    if images is not None:
        _put_images(store, images.files, images.media)
    watch.begin(f"importing {job.name}", seen.count, 0, 0, "rows")
    try:
        with store.write() as conn:
            requested = {"import": dict(job.origin), "file": job.name, "sha256": before}
            media = tuple(images.media.values()) if images is not None else ()
            one = ResultsIn(conn, seen, Faults(job.path), requested, job.first_replicate)
            one.prepare(media)
            again = (
                iter(kept)
                if kept is not None and len(kept) == seen.count
                else _records(job, sources, Faults(job.path))
            )
            one.store(again, watch)
            stored = one.finish()
            if _state_of(paths)[0] != before:
                raise InputError(f"{job.path}: has changed while it was read; nothing was stored")
    finally:
        watch.end()
    return Imported(seen, stored)


def _originals(job: ImportJob) -> list[Path]:
    return expanded((job.path, *job.others), _ENDINGS, Remarks(), folders=job.folders)


def _state_of(paths: Sequence[Path]) -> tuple[str, int]:
    """Return the hex SHA-256 and the bytes of a file or folder, or of several together."""
    if len(paths) == 1:
        return _state(paths[0])
    states = [_state(path) for path in paths]
    whole = "\n".join(state for state, _ in states)
    return hashlib.sha256(whole.encode()).hexdigest(), sum(size for _, size in states)


def _state(path: Path) -> tuple[str, int]:
    """Return the hex SHA-256 and the bytes of a file, or of a folder's names and contents."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        if not path.is_dir():
            if not path.is_file():  # a pipe ends, and is read more than once here
                raise InputError(f"{path} is no regular file: save it as one first")
            return file_sha256(path), path.stat().st_size
        state, size = hashlib.sha256(), 0
        for file in sorted(path.rglob("*")):
            if file.is_file():
                name = file.relative_to(path).as_posix()
                state.update(f"{name}\0{file_sha256(file)}\n".encode())
                size += file.stat().st_size
        return state.hexdigest(), size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _put_images(store: Store, files: Mapping[str, Path | bytes], media: Mapping[str, Any]) -> None:
    """Keep every image but those that are withheld."""
    root = MediaRoot(store.media_root)
    with store.read() as conn:
        gone = withheld_images(conn)
    for sha256, one in media.items():
        if sha256 in gone:
            continue
        try:
            root.put(bytes_of(files[sha256]), one)
        except MediaError as error:
            raise MediaError(f"{named(files[sha256])}: {error}") from error
