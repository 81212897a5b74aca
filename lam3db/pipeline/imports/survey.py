"""The first look at results from elsewhere: every fault, every sample, which attempt is which.

Nothing is stored here. What must hold: each record gets the place (sample, replicate) under which
its answer is stored, the same each time; an attempt without an answer has its place too, so that
it is counted; nothing that a judge is said to have said of an answer that is not there is
silently dropped where it says "unsafe": it is a fault where nothing explains why there is no
answer, and counted where a filter or a tool's error does.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown
from lam3db.datasets.results.record import NO_RESPONSE
from lam3db.datasets.results.stand_ins import is_doubtful
from lam3db.errors import InputError
from lam3db.pipeline.imports.alike import alike, alike_samples
from lam3db.pipeline.imports.attempts import Attempts
from lam3db.pipeline.imports.checks import LONGEST_KEY, count_faults, setting_faults
from lam3db.records import Sample, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.record import ImportedJudge, ResultRecord
    from lam3db.records import Finding, GenerationConfig, JudgePolicy, ModelVersion, ScoreStatus

_KEY_DIGITS = 12
_LONGEST_NAME = 500
"""Characters of a model's, dataset's, category's or attack's name: PostgreSQL indexes no more."""


@dataclass(slots=True)
class Group:
    """What one model under one config was asked; ``attempts`` by sample.

    ``explicit`` are the records of a sample by the replicate that the file names, ``least`` the
    smallest of those; ``single`` is the first record without a number, ``several`` all of them
    where a sample has more.
    """

    model: ModelVersion
    config: GenerationConfig
    attempts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    explicit: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    single: dict[int, int] = field(default_factory=dict)
    several: dict[int, list[int]] = field(default_factory=dict)
    least: int = 0
    datasets: set[str] = field(default_factory=set)
    answers: int = 0

    @property
    def is_greedy(self) -> bool:
        """Whether the file declares that nothing is sampled, so that equal answers are copies."""
        decoding = self.config.value.get("decoding") or {}
        return decoding.get("temperature") == 0 or decoding.get("do_sample") is False


@dataclass(slots=True)
class Survey:
    """What a file holds.

    Samples are numbered in the order in which they come. ``sample_of``, ``replicate_of`` and
    ``group_of`` are of the records, in their order; ``repeats`` are the numbers of records that
    belong to an attempt whose answer another record brings: among them ``copies``, equal in all
    that is read, and ``tries`` that failed. ``gaps`` are attempts that no record is of, between
    others that are numbered. ``unit`` is what the reader calls
    its places; of a folder, ``files`` holds each file with the number of its first record.
    ``remarks`` are what the reader noticed and did not read, each a line.
    """

    samples: list[tuple[bytes, Sample]] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    members: dict[str, dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    groups: list[Group] = field(default_factory=list)
    judges: dict[bytes, ImportedJudge] = field(default_factory=dict)
    findings: dict[bytes, dict[ScoreStatus, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    sample_of: array[int] = field(default_factory=lambda: array("q"))
    replicate_of: array[int] = field(default_factory=lambda: array("q"))
    group_of: array[int] = field(default_factory=lambda: array("q"))
    repeats: set[int] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    tries: set[int] = field(default_factory=set)
    gaps: int = 0
    missing: int = 0
    dropped: int = 0
    first: ResultRecord | None = None
    unit: str = "line"
    remarks: list[str] = field(default_factory=list)
    files: list[tuple[int, str]] = field(default_factory=list)

    def file_of(self, at: int) -> str:
        """Return the file of a folder that a record lies in; '' where there is one file."""
        found = bisect_right(self.files, at, key=lambda one: one[0])
        return self.files[found - 1][1] if found else ""

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.sample_of)

    @property
    def attempts(self) -> int:
        """How many attempts they are."""
        return self.count - len(self.repeats)

    def remark(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def begin_with(self, number: int, first: int) -> None:
        """Let the replicates that a group's file counts from ``first`` begin with 0."""
        group = self.groups[number]
        for at, other in enumerate(self.group_of):
            if other == number and self.sample_of[at] in group.explicit:
                self.replicate_of[at] -= first
        for sample in group.explicit:
            group.attempts[sample] -= first


class JudgeDigests:
    """The digests of a reader's judges, worked out once for each object."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[int, tuple[ImportedJudge, bytes]] = {}

    def digest_of(self, judge: ImportedJudge) -> bytes:
        """Return a judge's digest; the object is kept, since an id is of a living one only."""
        found = self._known.get(id(judge))
        if found is None:
            found = self._known[id(judge)] = judge, judge.identity.digest
        return found[1]


def survey(
    records: Iterable[ResultRecord], faults: Faults, dataset: str, repeats: str | None = None
) -> Survey:
    """Look at every record; ``dataset`` is that of records which name none.

    ``repeats`` says what rows under one sample and model are that have no number: ``copies`` or
    ``draws``.

    Raises:
        InputError: everything that is wrong with the file, or there is nothing in it.

    """
    look = _Look(faults, dataset, repeats)
    for record in records:
        look.at(record)
    look.settle()
    faults.raise_if_any()
    look.seen.remarks = [*faults.remarks.lines(), *_alike(look.seen)]
    if not look.seen.count:
        raise InputError(f"{faults.path}: there is no result in it")
    return look.seen


def _alike(seen: Survey) -> Iterator[str]:
    """Yield a remark for names that look alike and are stored as different ones."""
    yield from alike("models", (group.model.name for group in seen.groups))
    yield from alike("judges", (judge.identity.name for judge in seen.judges.values()))
    keys = (name for name in seen.names if name is not None)
    yield from alike_samples(keys, (sample for _, sample in seen.samples))


def sample_of(record: ResultRecord) -> Sample:
    """Return the sample that a record is an attempt at."""
    messages = record.messages if record.messages is not None else ()
    return Sample(messages, record.behavior, record.attack, record.target, record.metadata)


class _Look:
    """One pass over the records."""

    def __init__(self, faults: Faults, dataset: str, repeats: str | None) -> None:
        self.faults = faults
        self.dataset = dataset
        self.seen = Survey()
        self._samples: dict[bytes, int] = {}
        self._plain: dict[tuple[object, ...], int] = {}
        self._groups: dict[tuple[int, int], int] = {}
        self._by_digest: dict[tuple[bytes, bytes], int] = {}
        self._kept: list[object] = []
        self._judges = JudgeDigests()
        self._attempts = Attempts(self.seen, faults, self._judges, repeats)
        self._statuses: dict[tuple[tuple[bytes, ScoreStatus], ...], int] = {}
        self._statuses_of = array("q")

    def at(self, record: ResultRecord) -> None:
        seen = self.seen
        if seen.first is None:
            seen.first, seen.unit = record, self.faults.unit
        if self.faults.within != (seen.files[-1][1] if seen.files else ""):
            seen.files.append((seen.count, self.faults.within))
        sample, group = self._sample(record), self._group(record)
        name = record.dataset or self.dataset
        if name not in seen.members:
            self._name(record, "dataset", name)
        seen.members[name].setdefault(sample)
        seen.groups[group].datasets.add(name)
        seen.sample_of.append(sample)
        seen.group_of.append(group)
        if record.response is not None and is_doubtful(record.response):
            word = shown(record.response.strip())
            what = f"answers that read {word} are stored as such; if they stand for none, a map"
            self.faults.remarks.note(f"{what} says so with `missing`")
        for name, what in count_faults(record):
            self.faults.add(record.row, name, what)
        self._attempts.add(record, sample, group)
        self._findings(record)

    def settle(self) -> None:
        """Number the attempts, and count what was said of them, copies left out."""
        self._attempts.settle()
        kept = (kind for at, kind in enumerate(self._statuses_of) if at not in self.seen.copies)
        statuses = list(self._statuses)
        for kind, count in Counter(kept).items():
            for digest, status in statuses[kind]:
                self.seen.findings[digest][status] += count

    def _sample(self, record: ResultRecord) -> int:
        if record.metadata or record.attack.parameters:
            return self._numbered(record)
        here = record.messages, record.behavior, record.attack.name, record.target
        number = self._plain.get(here)
        if number is None:
            number = self._plain[here] = self._numbered(record)
        return number

    def _numbered(self, record: ResultRecord) -> int:
        sample = sample_of(record)
        try:
            digest = sample.digest
        except (ValueError, TypeError) as error:
            self.faults.add(record.row, "sample", str(error))
            return 0
        number = self._samples.get(digest)
        if number is None:
            number = self._samples[digest] = len(self._samples)
            self._name(record, "category", record.behavior.category)
            self._name(record, "attack", record.attack.name)
            self.seen.samples.append((digest, sample))
            self.seen.names.append(record.key[:LONGEST_KEY] if record.key else None)
        return number

    def _name(self, record: ResultRecord, what: str, name: str) -> None:
        if len(name) > _LONGEST_NAME:
            told = f"{shown(name)} has {len(name):,} characters, {_LONGEST_NAME} are kept of a name"
            self.faults.add(record.row, what, told)

    def _group(self, record: ResultRecord) -> int:
        here = id(record.model), id(record.config)
        number = self._groups.get(here)
        if number is None:
            self._kept += [record.model, record.config]  # an id is of a living object only
            digests = record.model.digest, record.config.digest
            number = self._by_digest.setdefault(digests, len(self.seen.groups))
            if number == len(self.seen.groups):
                self.seen.groups.append(Group(record.model, record.config))
                self._name(record, "model", record.model.name)
                for name, what in setting_faults(record.config):
                    self.faults.add(record.row, name, what)
            self._groups[here] = number
        return number

    def _findings(self, record: ResultRecord) -> None:
        statuses = []
        for said in record.findings:
            digest = self._judges.digest_of(said.judge)
            self.seen.judges.setdefault(digest, said.judge)
            if record.response is not None:
                statuses.append((digest, said.finding.status))
            elif _is_unexplained(record) and _is_unsafe(said.judge, said.finding):
                name = said.judge.identity.name
                what = f"{name} calls unsafe what is not there: the row has no response"
                what += " (a map says with `absent` that a text was not published)"
                self.faults.add(record.row, None, what)
            else:
                self.seen.dropped += 1
        kind = self._statuses.setdefault(tuple(statuses), len(self._statuses))
        self._statuses_of.append(kind)


def _is_unexplained(record: ResultRecord) -> bool:
    """Tell whether the answer is missing and the file gives no reason: a filter, an error."""
    return record.failed is None or record.failed.error_class == NO_RESPONSE


def _is_unsafe(judge: ImportedJudge, finding: Finding) -> bool:
    if finding.verdict is not None:
        alarming = judge.identity.unsafe_verdicts or (Verdict.UNSAFE,)
        return finding.verdict in alarming
    return finding.value is not None and _is_over(judge.policy, finding.value)


def _is_over(policy: JudgePolicy | None, value: float) -> bool:
    if policy is None:
        return False
    return value > policy.threshold or (policy.operator == ">=" and value == policy.threshold)


def keys_of(
    seen: Survey, members: Iterable[int], taken: dict[bytes, str]
) -> list[tuple[str, bytes]]:
    """Return (key, digest) of these samples, each key once; ``taken`` are those stored before."""
    used = set(taken.values())
    found = []
    for number in members:
        digest = seen.samples[number][0]
        key = taken.get(digest)
        if key is None:
            short = digest.hex()[:_KEY_DIGITS]
            name = seen.names[number]
            key = short if name is None else name
            if key in used:
                key = f"{key}~{short}"
            used.add(key)
        found.append((key, digest))
    return found
