"""Which records of an import are one attempt, and which replicate of its sample each attempt is.

A file says it with a replicate number or the name of the attempt. Where it says neither, what
stands several times under one sample, model and settings is

* one fact, where its rows are equal in answer and labels and only some samples have several;
* one attempt, where one row has the answer and the others failed: they are its earlier tries; or
  where rows of one answer each bring another judge and none contradicts: a row per annotator;
* replicates, where every sample of the model has the same number of rows;
* a fault otherwise: only a person can say whether they are ``copies`` or ``draws``.

What must hold: none of it depends on the order of the rows, but for the numbers of replicates
that the file does not number; each of it is a remark with its count and first places; two
answers under one number are a fault, as are two that are said to be copies; equal answers of
greedy decoding are never draws; a row whose own key is lost is told.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown
from lam3db.pipeline.imports.checks import LONGEST_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.record import ResultRecord
    from lam3db.pipeline.imports.survey import Group, JudgeDigests, Survey
    from lam3db.records import Finding

COPIES, DRAWS = REPEATS = ("copies", "draws")
"""What a person may say of rows under one sample and model that have no number."""
_PLACES = 5
_CURE = (
    "say what they are (`repeats: copies` or `repeats: draws` in the map, or --repeats), or name"
    " the column that tells them apart (replicate, or attempt where one answer has several rows)"
)


class Attempts:
    """The attempts of one import, record by record: :meth:`add`, then :meth:`settle` once."""

    def __init__(
        self, seen: Survey, faults: Faults, judges: JudgeDigests, repeats: str | None
    ) -> None:
        """Fill the places of ``seen``; ``repeats`` is what a person says of unnumbered rows."""
        self._seen, self._faults, self._repeats = seen, faults, repeats
        self._judges = judges
        self._rows = array("q")
        self._answer = array("q")
        """Of each record: what its answer is, 0 where it has none."""
        self._content = array("q")
        """Of each record: what its answer and its findings are."""
        self._opinions_at = array("q")
        """Of each record: where its findings begin in the two arrays below."""
        self._judge_of = array("q")
        self._said = array("q")
        self._numbers: dict[bytes, int] = {}
        self._panels: list[int] = []
        self._by_name: dict[tuple[int, str], int] = {}
        self._named: set[int] = set()
        self._unit: dict[int, int] = {}
        """Further records of an attempt -> its first."""
        self._answered: dict[int, int] = {}
        """Attempts whose first record has no answer -> the record that has."""
        self._copies: list[int] = []
        self._tries: list[int] = []
        self._rekeyed: dict[int, str] = {}
        """Records without a number whose key is not that of their sample -> their key."""

    def add(self, record: ResultRecord, sample: int, group: int) -> None:
        """Take the next record, an attempt at ``sample`` by the model and settings of ``group``."""
        at = len(self._rows)
        self._rows.append(record.row)
        self._answer.append(_digest(record.response))
        self._content.append(self._content_of(record))
        self._seen.replicate_of.append(0)
        if record.attempt is not None:
            first = self._by_name.setdefault((group, record.attempt), at)
            if first != at:
                self._further(at, first, record)
                return
            self._named.add(at)
        place = self._seen.groups[group]
        if record.replicate is None:
            self._unnumbered(at, sample, place, record.key)
        else:
            self._numbered(at, record.replicate, sample, place)

    def settle(self) -> None:
        """Give every record its replicate; note as faults what only a person can decide."""
        if self._repeats != DRAWS:
            for group in self._seen.groups:
                self._join_panels(group)
        counts = {count for group in self._seen.groups for count in _counts(group)}
        for group in self._seen.groups:
            self._settle_unnumbered(group, is_even=len(counts) == 1)
            self._settle_numbered(group)
        self._count()
        self._tell()

    def _content_of(self, record: ResultRecord) -> int:
        start = len(self._judge_of)
        self._opinions_at.append(start)
        for one in record.findings:
            digest = self._judges.digest_of(one.judge)
            self._judge_of.append(self._numbers.setdefault(digest, len(self._numbers)))
            self._said.append(hash(_said(one.finding)))
        return hash((record.response, *self._judge_of[start:], *self._said[start:]))

    def _opinions(self, at: int) -> dict[int, int]:
        """Return what each judge says in a record."""
        bounds = (*self._opinions_at[at : at + 2], len(self._judge_of))
        within = slice(*bounds[:2])
        return dict(zip(self._judge_of[within], self._said[within], strict=True))

    def _join_panels(self, group: Group) -> None:
        """Join the rows of one answer each of which brings another judge: a row per annotator."""
        for sample, rows in list(group.several.items()):
            if self._named.intersection(rows):
                continue
            by_answer: dict[int, list[int]] = {}
            for at in filter(self._answer.__getitem__, rows):
                by_answer.setdefault(self._answer[at], []).append(at)
            for equal in by_answer.values():
                if len(equal) > 1 and _is_panel([self._opinions(at) for at in equal]):
                    self._panels += equal[1:]
                    for at in equal[1:]:
                        self._join(at, equal[0])
            group.several[sample] = [at for at in rows if at not in self._unit]
            if len(group.several[sample]) == 1:
                del group.several[sample]

    def _further(self, at: int, first: int, record: ResultRecord) -> None:
        """Take a further record of an attempt that is known by its name."""
        answer = self._answer[self._answered.get(first, first)]
        differs = (
            "its sample"
            if self._seen.sample_of[at] != self._seen.sample_of[first]
            else "its response"
            if answer and self._answer[at] and answer != self._answer[at]
            else ""
        )
        if differs:
            what = f"{differs} differs from that of the same attempt in {self._place(first)}"
            self._faults.add(record.row, None, f"attempt {shown(record.attempt)}: {what}")
        self._join(at, first)

    def _join(self, at: int, first: int) -> None:
        self._unit[at] = first
        if self._answer[at] and not self._answer[first]:
            self._answered.setdefault(first, at)

    def _unnumbered(self, at: int, sample: int, group: Group, key: str | None) -> None:
        if sample in group.explicit:
            self._faults.add(self._rows[at], "replicate", "is missing, where other rows have it")
        first = group.single.setdefault(sample, at)
        if first != at:
            group.several.setdefault(sample, [first]).append(at)
            name = self._seen.names[sample]
            if key and name and key[:LONGEST_KEY] != name and self._repeats != DRAWS:
                self._rekeyed[at] = key

    def _numbered(self, at: int, replicate: int, sample: int, group: Group) -> None:
        if sample in group.single:
            self._faults.add(self._rows[at], "replicate", "is there, where other rows have none")
        first = group.explicit[sample].setdefault(replicate, at)
        if first == at:
            return
        before = self._answered.get(first, first)
        if not (self._answer[at] and self._answer[before]):
            self._join_try(at, first)
        elif self._content[at] == self._content[before]:
            self._join_copy(at, first)
        else:
            what = f"{replicate} of the same sample and model is in {self._place(before)} already"
            self._faults.add(self._rows[at], "replicate", f"{what}, with {self._other(at, before)}")

    def _join_copy(self, at: int, first: int) -> None:
        self._join(at, first)
        self._copies.append(at)

    def _join_try(self, at: int, first: int) -> None:
        """Join two records of which one failed at least."""
        self._join(at, first)
        self._tries.append(first if self._answer[at] else at)

    def _other(self, at: int, before: int) -> str:
        is_same = self._answer[at] == self._answer[before]
        return "other labels" if is_same else "another answer"

    def _settle_numbered(self, group: Group) -> None:
        """Number what the file numbers; an attempt between others that no row has was not made."""
        if not group.explicit:
            return
        group.least = min(min(rows) for rows in group.explicit.values())
        lasts = Counter[int]()
        for sample, rows in group.explicit.items():
            last = max(rows)
            lasts[last] += 1
            group.attempts[sample] = last + 1
            for replicate, first in rows.items():
                self._seen.replicate_of[first] = replicate
            self._seen.gaps += last + 1 - group.least - len(rows)
        fewer = sum(count for last, count in lasts.items() if last < max(lasts))
        if fewer:
            what = "samples with fewer replicates than others of the model: no more are counted"
            self._faults.remarks.note(what, fewer)

    def _settle_unnumbered(self, group: Group, *, is_even: bool) -> None:
        for sample in group.single:
            group.attempts[sample] = 1
        lists = {
            sample: rows
            for sample, rows in group.several.items()
            if not self._named.intersection(rows)
        }
        for sample in group.several.keys() - lists.keys():
            self._number(group, sample, group.several[sample])
        if not lists:
            return
        rule = self._repeats or self._rule(group, list(lists.values()), is_even=is_even)
        if rule is None:
            self._ask(group, list(lists.values()))
            return
        for sample, rows in lists.items():
            if self._repeats == DRAWS:
                self._tell_equal_draws(rows)
            units = rows if rule == DRAWS else self._merged(rows, rule)
            self._number(group, sample, units)

    def _tell_equal_draws(self, rows: Sequence[int]) -> None:
        """Remark on draws that equal another, where a person or the format says what rows are."""
        counts = Counter(self._content[at] for at in rows if self._answer[at])
        equal = counts.total() - len(counts)
        if equal:
            what = "rows equal to another of the same sample and model, each counted as a draw; if"
            self._faults.remarks.note(f"{what} they are copies, say --repeats copies", equal)

    def _rule(self, group: Group, lists: Sequence[Sequence[int]], *, is_even: bool) -> str | None:
        """Return what these rows are: draws, ``one`` attempt, ``distinct`` or ``answered`` ones."""
        answers = [[self._content[at] for at in rows if self._answer[at]] for rows in lists]
        if len(_counts(group)) > 1:
            return self._uneven_rule(group, answers)
        if all(len(found) == 1 for found in answers):
            return "one"
        are_equal = all(len({self._content[at] for at in rows}) == 1 for rows in lists)
        if are_equal and (group.is_greedy or not is_even):
            return "one"
        what = f"rows of {shown(group.model.name)} without a number, equally many of every"
        what += " sample: taken as replicates; if they are copies, say `repeats: copies`"
        self._faults.remarks.note(what, sum(map(len, lists)))
        return DRAWS

    def _uneven_rule(self, group: Group, answers: Sequence[Sequence[int]]) -> str | None:
        sizes = {len(found) for found in answers}
        distinct = {len(set(found)) for found in answers}
        if max(distinct) <= 1:
            return "one"
        if any(self._answer[at] for at in _alone(group)):
            return None
        if len(distinct - {0}) == 1:
            return "distinct"
        return "answered" if len(sizes - {0}) == 1 else None

    def _merged(self, rows: Sequence[int], rule: str) -> list[int]:
        """Join the rows of a sample that are one attempt; return the first of each attempt."""
        units: dict[int, int] = {}
        for at in rows:
            if self._answer[at]:
                here = at if rule == "answered" else self._content[at]
                first = units.setdefault(here, at)
                if first != at:
                    self._join_copy(at, first)
        firsts = list(units.values())
        if rule == COPIES and len(firsts) > 1:
            other = self._other(firsts[1], firsts[0])
            what = f"{self._place(firsts[0])} has {other} under the same sample and model: one of"
            what += " them is no copy (`repeats: draws` counts each)"
            self._faults.add(self._rows[firsts[1]], None, what)
        failed = [at for at in rows if not self._answer[at]]
        if not firsts:
            firsts = failed[:1]
            failed = failed[1:]
        for at in failed:
            self._join_try(at, firsts[0])
        return firsts

    def _number(self, group: Group, sample: int, units: Sequence[int]) -> None:
        group.attempts[sample] = len(units)
        for replicate, first in enumerate(units):
            self._seen.replicate_of[first] = replicate

    def _ask(self, group: Group, lists: Sequence[Sequence[int]]) -> None:
        """Refuse what is neither: some samples have several rows, and those differ."""
        answered = ([at for at in rows if self._answer[at]] for rows in lists)
        rows = next(rows for rows in answered if len({self._content[at] for at in rows}) > 1)
        first = rows[0]
        at = next(at for at in rows if self._content[at] != self._content[first])
        what = (
            f"{self._place(first)} has {self._other(at, first)} under the same sample and model,"
            f" and not every sample of {shown(group.model.name)} has as many rows"
            f" ({len(lists)} have several): {_CURE}{self._other_key(at)}"
        )
        self._faults.add(self._rows[at], None, what)

    def _other_key(self, at: int) -> str:
        """Return what to say of a row whose key is not that of its sample; '' for any other."""
        if at not in self._rekeyed:
            return ""
        name = shown(self._seen.names[self._seen.sample_of[at]])
        what = f"; the keys {name} and {shown(self._rekeyed[at])} are one sample, since all else"
        return what + " of it is equal: `metadata: [COLUMN]` of the key makes two of them"

    def _count(self) -> None:
        """Set what further records share with the first of their attempt, and count attempts."""
        seen = self._seen
        for at, first in self._unit.items():
            seen.replicate_of[at] = seen.replicate_of[first]
        bearers = {first: self._answered.get(first, first) for first in self._unit.values()}
        seen.repeats |= {*self._unit, *bearers} - {*bearers.values()}
        seen.copies.update(self._copies)
        seen.tries.update(self._tries)
        for at, group in enumerate(seen.group_of):
            if at in seen.repeats:
                continue
            if self._answer[at]:
                seen.groups[group].answers += 1
            else:
                seen.missing += 1

    def _tell(self) -> None:
        note = self._faults.remarks.note
        if self._copies:
            what = "rows equal to another of the same sample and model, counted once: "
            note(what + self._places(self._copies), len(self._copies))
        if self._tries:
            what = "rows without an answer, taken as further tries of one attempt: "
            note(what + self._places(self._tries), len(self._tries))
        if self._panels:
            what = "rows that bring another judge of the same answer, taken as one attempt: "
            note(what + self._places(self._panels), len(self._panels))
        if self._rekeyed:
            at = next(iter(self._rekeyed))
            what = "rows with another key than the same sample had before"
            note(f"{what}: {self._place(at)}{self._other_key(at)}", len(self._rekeyed))
        if self._seen.gaps:
            what = "attempts between others that no row has: counted as not generated"
            note(what, self._seen.gaps)

    def _places(self, numbers: Sequence[int]) -> str:
        places = ", ".join(self._place(at) for at in sorted(numbers)[:_PLACES])
        return places + (", ..." if len(numbers) > _PLACES else "")

    def _place(self, at: int) -> str:
        file = self._seen.file_of(at)
        return f"{file + ', ' if file else ''}{self._seen.unit} {self._rows[at]}"


def _counts(group: Group) -> Collection[int]:
    """Return the numbers of rows that samples have which are not numbered."""
    counts = {len(rows) for rows in group.several.values()}
    return counts | {1} if len(group.single) > len(group.several) else counts


def _alone(group: Group) -> Iterator[int]:
    return (at for sample, at in group.single.items() if sample not in group.several)


def _is_panel(opinions: Sequence[dict[int, int]]) -> bool:
    """Tell whether each row has a judge that no other has, and none contradicts another."""
    said: dict[int, int] = {}
    times = Counter[int]()
    for row in opinions:
        times.update(row.keys())
        if any(said.setdefault(judge, finding) != finding for judge, finding in row.items()):
            return False
    return all(any(times[judge] == 1 for judge in row) for row in opinions)


def _digest(response: str | None) -> int:
    return 0 if response is None else hash(response) or 1


def _said(finding: Finding) -> tuple[object, ...]:
    attributes = finding.attributes
    return (
        *(finding.status, finding.value, finding.verdict, finding.explanation, finding.raw_output),
        tuple(sorted(attributes.items())) if attributes else (),
    )
