"""What an ensemble is to judge: which answers its members have all judged, and which anew.

A judge that sees findings names its members as ``{"judge": hex digest}`` in a list ``members``
of its spec, may say ``missing: ignore`` or ``abstain`` there, and returns as ``raw_output`` the
canonical JSON of the findings it was shown.

What must hold: an answer that a member has yet to judge waits: no score, no failure, and no
watermark passes it. One at which a member has failed for good waits too, unless the spec says
what to do without it. A score that rests on what a member no longer says is out of date: it is
found by comparing digests, whatever order the rows came in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError
from lam3db.judges.ensemble_members import known_members
from lam3db.judges.scale import grades
from lam3db.records import MemberFinding, Sees, Subject
from lam3db.store import members as rows
from lam3db.store import pending, reviews
from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.config import JudgeConfig
    from lam3db.pipeline.watch import Watch
    from lam3db.records import JudgeIdentity
    from lam3db.store.pending import ScoreScope

_PAGE = 2048


@dataclass(frozen=True, slots=True)
class Waiting:
    """Answers without a score of a member; ``failed`` of them will not come unless asked for."""

    member: str
    answers: int
    failed: int


@dataclass(slots=True)
class Outlook:
    """An ensemble's work: ``fresh`` answers, those to ``revise`` by reason, and who is waited for.

    ``waiting`` and ``failed`` count answers by the member's hex digest.
    """

    fresh: list[int] = field(default_factory=list)
    revise: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    waiting: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


def is_ensemble(identity: JudgeIdentity) -> bool:
    """Tell whether a judge is shown other judges' findings, and nothing else."""
    return tuple(identity.sees) == (Sees.FINDINGS,)


def member_digests(identity: JudgeIdentity) -> list[str]:
    """Return the hex digests of the members, in the order in which their findings are shown."""
    return [str(one["judge"]) for one in identity.spec["members"]]


def subjects(
    conn: Connection, identity: JudgeIdentity, generations: Sequence[int]
) -> dict[int, Subject]:
    """Return what an ensemble is shown of each answer; those that wait are left out."""
    members = _Members(conn, identity)
    said = rows.member_findings(conn, members.ids, generations)
    return {one: members.subject(said[one]) for one in generations if members.ready(one, said[one])}


def survey(
    conn: Connection,
    identity: JudgeIdentity,
    judge_id: int,
    fresh: Sequence[int],
    scope: ScoreScope,
) -> Outlook:
    """Sort the answers without a score, and all that have one, by what is to be done."""
    members = _Members(conn, identity)
    outlook = Outlook()
    for part in chunks(fresh, _PAGE):
        for one, found in rows.member_findings(conn, members.ids, part).items():
            if members.ready(one, found):
                outlook.fresh.append(one)
            else:
                members.count(one, found, outlook)
    scored = rows.scored_subjects(conn, judge_id, scope)
    for part in chunks(list(scored), _PAGE):
        said = rows.member_findings(conn, members.ids, part)
        stale = {
            one: members.subject(found)
            for one, found in said.items()
            if members.ready(one, found) and members.subject(found).digest != scored[one][1]
        }
        seen = rows.seen_findings(conn, [scored[one][0] for one in stale])
        for one, subject in stale.items():
            before = seen.get(scored[one][0], ())
            outlook.revise[members.reason(before, subject.findings)].append(one)
    return outlook


def waited_for(
    conn: Connection, outlook: Outlook, config: JudgeConfig, watch: Watch
) -> tuple[Waiting, ...]:
    """Return who is waited for, by the names people know them by."""
    if not outlook.waiting:
        return ()
    names = rows.judge_names(conn)
    if not set(outlook.waiting) <= names.keys():
        names |= {one.digest: one.written for one in known_members(config, watch.hashing)}
    return tuple(
        Waiting(names.get(digest, digest), count, outlook.failed[digest])
        for digest, count in sorted(outlook.waiting.items())
    )


class _Members:
    """The members of one ensemble as this database knows them."""

    def __init__(self, conn: Connection, identity: JudgeIdentity) -> None:
        self.digests = member_digests(identity)
        self.ids = rows.judge_ids(conn, self.digests)
        self.names = rows.judge_names(conn)
        if identity.spec.get("ensemble") == "mean":
            _refuse_grades(conn, identity.name, self.digests)
        self.without = identity.spec.get("missing", "wait") != "wait"
        self.given_up = {
            digest: pending.given_up_scores(conn, judge_id) for digest, judge_id in self.ids.items()
        }

    def ready(self, one: int, said: Mapping[str, MemberFinding]) -> bool:
        """Tell whether every member has judged it, or will not and need not."""
        absent = [digest for digest in self.digests if digest not in said]
        if not absent:
            return True
        return bool(said) and self.without and all(self._failed(one, digest) for digest in absent)

    def subject(self, said: Mapping[str, MemberFinding]) -> Subject:
        """Return what the ensemble is shown."""
        return Subject("", findings=tuple(said[one] for one in self.digests if one in said))

    def count(self, one: int, said: Mapping[str, MemberFinding], outlook: Outlook) -> None:
        """Count an answer that waits, once for each member it waits for."""
        for digest in self.digests:
            if digest not in said and not (self.without and said and self._failed(one, digest)):
                outlook.waiting[digest] += 1
                outlook.failed[digest] += self._failed(one, digest)

    def reason(self, before: Sequence[MemberFinding], after: Sequence[MemberFinding]) -> str:
        """Return why a score is made anew, naming the members that say something else."""
        then = {said.judge: said for said in before}
        now = {said.judge: said for said in after}
        changed = [one for one in self.digests if then.get(one) != now.get(one)]
        named = [f"{self.names.get(one, 'member')} [{one[:8]}]" for one in changed]
        verb = "say" if len(named) > 1 else "says"
        return f"{', '.join(named) or 'a member'} {verb} something else now"

    def _failed(self, one: int, digest: str) -> bool:
        return one in self.given_up.get(digest, ())


def _refuse_grades(conn: Connection, name: str, digests: Sequence[str]) -> None:
    """Raise ConfigError where a mean is to be taken of a grade: its lowest may be a 1."""
    for card in reviews.judge_cards(conn):
        if card.digest in digests and (ends := grades(card.spec)) is not None:
            raise ConfigError(
                f"judge {name}: member {card.label} grades from {ends[0]:g} to {ends[1]:g}, a mean "
                "is of values from 0 to 1: take a rule with thresholds, or a fitted one"
            )
