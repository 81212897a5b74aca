"""The rows of an import, in one transaction: what is stored stays, what is new is added.

What must hold: an answer or a finding that differs from what is stored under its key refuses the
file; a run is written only where it brings something, and asks for exactly the attempts of the
file; a dataset that was imported grows, one that was added by hand is never changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from lam3db import hashing
from lam3db.datasets.results.formats import ANOTHER_RUN
from lam3db.errors import InputError
from lam3db.hashing import text_digest
from lam3db.pipeline.imports.first_replicate import Counting
from lam3db.pipeline.imports.survey import JudgeDigests, keys_of
from lam3db.pipeline.judge_run import start_judge_run
from lam3db.pipeline.provenance import provenance
from lam3db.records import Answer, RunKind, RunStatus, Sees, Stage, Subject, images_of, text_of
from lam3db.store import results, writes
from lam3db.store.bulk import refresh
from lam3db.store.insert import lock_bodies, lock_findings, lock_generations, lock_versions
from lam3db.store.put_results import SaidIn, put_said, stored_answers
from lam3db.store.put_samples import put_members, put_samples, put_version
from lam3db.store.withheld import follow, unpublished
from lam3db.store.writes import DatasetRow, FailureIn, GenerationIn, RunCounts, RunStart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.record import ImportedJudge, ResultRecord
    from lam3db.pipeline.imports.survey import Survey
    from lam3db.pipeline.watch import Watch
    from lam3db.records import Media

WINDOW = 2000
"""Records stored at a time."""


@dataclass(frozen=True, slots=True)
class JudgeCount:
    """What came of one judge's findings."""

    name: str
    kind: str
    digest: str
    new: int
    known: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of a file: answers and findings that are new, and those that were stored."""

    datasets: tuple[DatasetRow, ...]
    new: int
    known: int
    judges: tuple[JudgeCount, ...]


@dataclass(slots=True)
class _Judge:
    """A judge's row, its run once there is something new, and its counts."""

    judge: ImportedJudge
    id: int
    run: int | None = None
    new: int = 0
    known: int = 0


@dataclass(slots=True)
class _Run:
    """The samples of one model and config that were tried equally often, and their run.

    ``there`` is a run of an earlier import that asked for the same; ``counted`` says with which
    number the file's replicates begin, where it has numbers; ``id`` is this import's, once it has
    something to bring.
    """

    model: int
    config: int
    value: Mapping[str, Any]
    dataset: int | None
    selection: int
    attempts: int
    planned: int
    there: int | None
    counted: Mapping[str, int] = field(default_factory=dict)
    id: int | None = None
    new: int = 0
    known: int = 0
    failures: list[FailureIn] = field(default_factory=list)


class ResultsIn:
    """One import: :meth:`prepare`, :meth:`store`, :meth:`finish`, in the caller's transaction."""

    def __init__(
        self,
        conn: Connection,
        seen: Survey,
        faults: Faults,
        requested: Mapping[str, Any],
        first_replicate: int | None = None,
    ) -> None:
        """Take what the survey has found; ``requested`` is what runs record of the import.

        ``first_replicate`` is what the file's numbers begin with, where a person says it.
        """
        self._counting = Counting(conn, seen, faults, first_replicate)
        self._conn, self._seen, self._faults, self._requested = conn, seen, faults, requested
        self._ids: list[int] = []
        self._keys: dict[bytes, str] = {}
        self._datasets: dict[str, DatasetRow] = {}
        self._places: list[tuple[int, int]] = []
        self._runs: dict[tuple[int, int], _Run] = {}
        self._judges: dict[bytes, _Judge] = {}
        self._digests = JudgeDigests()
        self._here = provenance()
        self._grown: Counter[str] = Counter()
        self._without_text: int | None = None
        self._firsts: dict[int, int] = {}

    def prepare(self, media: Sequence[Media]) -> None:
        """Write samples, datasets, models, configs, selections and judges."""
        lock_bodies(self._conn, alone=False)
        lock_versions(self._conn)
        lock_generations(self._conn, alone=False)
        lock_findings(self._conn)
        ids = put_samples(self._conn, dict(self._seen.samples), media)
        for table in ("sample", "behavior"):
            refresh(self._conn, self._grown, table, len(ids))
        self._ids = [ids[digest] for digest, _ in self._seen.samples]
        for name, members in self._seen.members.items():
            self._datasets[name] = self._dataset(name, list(members))
        for number in range(len(self._seen.groups)):
            self._open(number)
        self._faults.raise_if_any()
        for digest, judge in self._seen.judges.items():
            row = writes.put_judge(self._conn, judge.identity)
            self._judges[digest] = _Judge(judge, row)
            if judge.policy is not None:
                writes.put_policy(self._conn, row, judge.policy, "import")

    def store(self, records: Iterator[ResultRecord], watch: Watch) -> None:
        """Write answers and findings, window by window; raise InputError for what differs."""
        at = 0
        while window := list(islice(records, WINDOW)):
            if at + len(window) > self._seen.count:
                raise InputError(f"{self._faults.path}: has changed while it was read")
            answers = self._answers(at, window)
            self._faults.raise_if_any()
            self._findings(at, window, answers)
            self._faults.raise_if_any()
            at += len(window)
            for table in ("generation", "finding", "score"):
                refresh(self._conn, self._grown, table, len(window))
            watch.advance(len(window), 0)

    def finish(self) -> Stored:
        """End the runs; return what came of it."""
        follow(self._conn)
        for run in self._runs.values():
            if run.there is None or run.id is not None:
                self._end(run)
        judges = []
        for digest, one in self._judges.items():
            if one.run is not None:
                counts = RunCounts(one.new + one.known, one.new, one.known, 0)
                writes.finish_run(self._conn, one.run, RunStatus.FINISHED, counts)
            identity = one.judge.identity
            count = JudgeCount(identity.name, str(identity.kind), digest.hex(), one.new, one.known)
            judges.append(count)
        return Stored(
            datasets=tuple(self._datasets.values()),
            new=sum(run.new for run in self._runs.values()),
            known=sum(run.known for run in self._runs.values()),
            judges=tuple(judges),
        )

    def _dataset(self, name: str, members: Sequence[int]) -> DatasetRow:
        """Return the version that holds these samples: the latest, or that and the new ones."""
        latest = results.latest_version(self._conn, name)
        taken = {digest: key for key, digest, _ in latest.members}
        pairs = keys_of(self._seen, members, taken)
        self._keys |= {digest: key for key, digest in pairs}
        new = [
            (key, digest, self._ids[number])
            for number, (key, digest) in zip(members, pairs, strict=True)
            if digest not in taken
        ]
        if latest.row is not None and not new:
            return latest.row
        if latest.row is not None and not latest.is_imported:
            raise InputError(
                f"{self._faults.path}: dataset {name!r} is stored, was not imported, and holds "
                "other samples: give the imported ones another name with --name"
            )
        source = f"{results.IMPORTED}{self._faults.path.name}"
        return put_version(self._conn, name, [*latest.members, *new], source=source)

    def _open(self, number: int) -> None:
        """Lay out the runs of a group: one per number of attempts, so that none is invented."""
        group = self._seen.groups[number]
        model = writes.put_model_version(self._conn, group.model)
        config = writes.put_config(self._conn, group.config)
        self._places.append((model, config))
        self._firsts |= self._counting.begin(number, model, config)
        names = sorted(group.datasets)
        dataset = self._datasets[names[0]].id if len(names) == 1 else None
        first = self._firsts.get(number)
        counted = {} if first is None else {results.FIRST_REPLICATE: first}
        by_count: dict[int, list[int]] = defaultdict(list)
        for sample, attempts in group.attempts.items():
            by_count[attempts].append(sample)
        for attempts, samples in sorted(by_count.items()):
            digests = [self._seen.samples[one][0] for one in samples]
            members = [
                (self._keys[digest], digest, self._ids[one])
                for one, digest in zip(samples, digests, strict=True)
            ]
            selection = put_members(self._conn, members)
            there = results.import_of(self._conn, model, config, selection, attempts)
            planned = attempts * len(members)
            self._runs[number, attempts] = _Run(
                *(model, config, group.config.value, dataset, selection, attempts, planned, there),
                counted,
            )

    def _answers(self, start: int, window: Sequence[ResultRecord]) -> list[int]:
        """Return the generation of each record; 0 where it has no response."""
        by_group: dict[int, list[int]] = defaultdict(list)
        for at, record in enumerate(window):
            by_group[self._seen.group_of[start + at]].append(at)
            if record.response is None:
                self._failed(start + at, record)
        found = [0] * len(window)
        for group, rows in by_group.items():
            spoken = [at for at in rows if window[at].response is not None]
            places = {at: self._place(start + at) for at in spoken}
            samples = [sample for sample, _ in places.values()]
            there = stored_answers(self._conn, *self._places[group], samples)
            new = [at for at in spoken if places[at] not in there]
            self._put(group, start, window, {at: places[at] for at in new})
            if new:
                there = stored_answers(self._conn, *self._places[group], samples)
            fresh = set(new)
            for at in spoken:
                found[at], digest = there[places[at]]
                if at not in fresh:
                    self._known(start + at, window[at], digest)
        return found

    def _text(self, at: int, record: ResultRecord) -> str:
        """Return an answer; of one that was not published, what stands for it in digests alone.

        It is a text of this one answer, so that what was said of it is never taken for another's.
        """
        if not record.is_unpublished:
            return record.response or ""
        sample = self._seen.samples[self._seen.sample_of[at]][0]
        place = [record.model.digest.hex(), record.config.digest.hex(), sample.hex()]
        return hashing.digest("unpublished", [*place, self._seen.replicate_of[at]]).hex()

    def _unpublished(self) -> int:
        """Return what withholds answers without a text, made once."""
        if self._without_text is None:
            self._without_text = unpublished(self._conn)
        return self._without_text

    def _place(self, at: int) -> tuple[int, int]:
        return self._ids[self._seen.sample_of[at]], self._seen.replicate_of[at]

    def _run_of(self, at: int) -> _Run:
        group = self._seen.group_of[at]
        return self._runs[group, self._seen.groups[group].attempts[self._seen.sample_of[at]]]

    def _put(
        self,
        group: int,
        start: int,
        window: Sequence[ResultRecord],
        places: Mapping[int, tuple[int, int]],
    ) -> None:
        by_run: dict[int, list[GenerationIn]] = defaultdict(list)
        written: set[tuple[int, int]] = set()
        for at, place in places.items():
            if place in written:  # a further row of the same attempt
                continue
            written.add(place)
            run = self._run_of(start + at)
            answer = _answer(window[at], self._text(start + at, window[at]))
            by = self._unpublished() if window[at].is_unpublished else None
            by_run[self._started(run)].append(GenerationIn(*place, answer, by))
            run.new += 1
        for run_id, rows in by_run.items():
            writes.put_generations(self._conn, run_id, *self._places[group], rows)

    def _known(self, at: int, record: ResultRecord, digest: bytes) -> None:
        if text_digest(self._text(at, record)) != digest:
            what = "another answer is stored under this model, settings, sample and replicate: "
            what += "what differs? tell them apart with --model, or in the map by config, or by"
            what += " replicate ({file: PATTERN} takes its number from the file's name)"
            first = self._firsts.get(self._seen.group_of[at])
            if first is not None:
                what += f"; its replicates are counted from {first} (--first-replicate 0 or 1)"
            origin = self._requested.get("import")
            what += ANOTHER_RUN.get(origin.get("format", ""), "") if origin else ""
            self._fault(at, record.row, "response", what)
        elif at not in self._seen.repeats:
            self._run_of(at).known += 1

    def _fault(self, at: int, row: int, field: str, what: str) -> None:
        """Note what is wrong with a record, named as the file's reader names it."""
        self._faults.unit, self._faults.file = self._seen.unit, self._seen.file_of(at)
        self._faults.add(row, field, what)

    def _failed(self, at: int, record: ResultRecord) -> None:
        is_told = at not in self._seen.repeats or at in self._seen.tries
        if record.failed is not None and is_told:
            sample, replicate = self._place(at)
            failure = FailureIn(record.failed, sample_id=sample, replicate=replicate)
            self._run_of(at).failures.append(failure)

    def _started(self, run: _Run) -> int:
        """Return the run, begun if it is not."""
        if run.id is None:
            started = RunStart(
                kind=RunKind.GENERATE,
                model_version_id=run.model,
                config_id=run.config,
                selection_id=run.selection,
                dataset_id=run.dataset,
                judge_id=None,
                environment_id=writes.put_environment(self._conn, self._here.environment),
                replicates=run.attempts,
                seed=None,
                requested={**self._requested, **run.counted},
                effective=dict(run.value),
                options={},
                **self._here.columns(),
            )
            run.id, _ = writes.start_run(self._conn, started)
        return run.id

    def _end(self, run: _Run) -> None:
        run_id = self._started(run)
        writes.put_failures(self._conn, run_id, Stage.GENERATE, run.failures)
        counts = RunCounts(run.planned, run.new, run.known, len(run.failures))
        writes.finish_run(self._conn, run_id, RunStatus.FINISHED, counts)

    def _findings(self, start: int, window: Sequence[ResultRecord], answers: Sequence[int]) -> None:
        said: dict[bytes, list[SaidIn]] = defaultdict(list)
        subjects: dict[tuple[int, frozenset[Sees]], bytes] = {}
        for at, record in enumerate(window):
            if record.response is None or start + at in self._seen.copies:
                continue
            for one in record.findings:
                digest = self._digests.digest_of(one.judge)
                key = at, frozenset(one.judge.identity.sees)
                if key not in subjects:
                    subjects[key] = _subject(record, self._text(start + at, record), key[1])
                said[digest].append(SaidIn(at, answers[at], subjects[key], one.finding))
        for digest, rows in said.items():
            self._said(self._judges[digest], start, window, rows)

    def _said(
        self, judge: _Judge, start: int, window: Sequence[ResultRecord], rows: Sequence[SaidIn]
    ) -> None:
        written = put_said(self._conn, lambda: self._judging(judge), judge.id, rows)
        judge.new += written.new
        judge.known += written.known
        for at in written.differ:
            what = "another finding on this answer is stored: what is stored is not changed"
            self._fault(start + at, window[at].row, judge.judge.identity.name, what)

    def _judging(self, judge: _Judge) -> int:
        """Return the judge's run, begun if it is not."""
        if judge.run is None:
            identity = judge.judge.identity
            judge.run, _ = start_judge_run(
                self._conn, identity, judge.id, self._requested, self._here
            )
        return judge.run


def _answer(record: ResultRecord, text: str) -> Answer:
    return Answer(
        text,
        text,
        record.finish_reason,
        record.prompt_tokens,
        record.completion_tokens,
        record.latency_ms,
        reasoning=record.reasoning,
    )


def _subject(record: ResultRecord, text: str, sees: frozenset[Sees]) -> bytes:
    """Return the digest of what a judge saw, as it is derived from the stored rows."""
    messages = record.messages or ()
    return Subject(
        response=text if Sees.RESPONSE in sees else "",
        prompt=text_of(messages) if Sees.PROMPT in sees else None,
        behavior=record.behavior.text if Sees.BEHAVIOR in sees else None,
        images=images_of(messages) if Sees.IMAGE in sees else (),
        reasoning=record.reasoning if Sees.REASONING in sees else None,
    ).digest
