"""What three made-up judges say of a text: each depends on the text's digest and nothing else."""

from __future__ import annotations

from lam3db.records import MemberFinding, ScoreStatus, Subject, Verdict

DIGESTS = tuple(f"{number}{'abcdef0' * 9}" for number in "123")
UNSAFE = Verdict.UNSAFE


def shown(text: str) -> Subject:
    """Return a text with what the three say of it: two give verdicts, one a value."""
    number = int.from_bytes(Subject(text).digest[:4], "big")
    first = UNSAFE if number & 1 else Verdict.SAFE
    second = Verdict.NOT_REFUSED if number & 2 else Verdict.REFUSED
    said = [
        MemberFinding(DIGESTS[0], ScoreStatus.OK, verdict=first),
        MemberFinding(DIGESTS[1], ScoreStatus.OK, verdict=second),
        MemberFinding(DIGESTS[2], ScoreStatus.OK, value=(number >> 2 & 0xFF) / 0xFF),
    ]
    if number & 0x700000 == 0:
        said[1] = MemberFinding(DIGESTS[1], ScoreStatus.UNPARSED)
    return Subject(text, findings=tuple(said))
