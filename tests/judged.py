"""Judges and people who said safe or unsafe, for tests of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scored import World, sample

from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scored import Answered

    from lam3db.records import Sample

UNSAFE, SAFE = Finding(verdict=Verdict.UNSAFE), Finding(verdict=Verdict.SAFE)


def verdict(*, unsafe: bool) -> Finding:
    return UNSAFE if unsafe else SAFE


def judge(name: str, version: str = "1", kind: JudgeKind = JudgeKind.LLM) -> JudgeIdentity:
    spec = {"name": name, "origin": "imported"}
    return JudgeIdentity(name, kind, version, spec, unsafe_verdicts=(Verdict.UNSAFE,))


def person(name: str, guideline: str = "g", role: str | None = None) -> JudgeIdentity:
    spec = {"annotator": name, "guideline": guideline, "labels": "safety"}
    spec |= {"role": role} if role else {}
    full = f"human:{name}" + (f":{role}" if role else "")
    return JudgeIdentity(full, JudgeKind.HUMAN, "1", spec, unsafe_verdicts=(Verdict.UNSAFE,))


def many(behaviors: int, each: int, *, benign: int = 0) -> list[Sample]:
    """Return samples of so many behaviors; the last ``benign`` behaviors are no attacks."""
    return [
        sample(f"aim {b}", f"way {i}", benign=b >= behaviors - benign)
        for b in range(behaviors)
        for i in range(each)
    ]


def answers_of(world: World, samples: Sequence[Sample], model: str = "demo") -> Answered:
    """Return what a model answered to samples, in the order of their keys k0, k1, ..."""
    return world.answer(world.dataset(samples), world.model(model), world.config())


def tell(
    world: World,
    answered: Answered,
    who: JudgeIdentity,
    said: Mapping[int, bool],
    policy: JudgePolicy | None = None,
) -> int:
    """Store yes (unsafe) and no by the number of the sample; return the judge's id."""
    judge_id = world.judge(who, policy)
    findings = {answered.ids[f"k{at}", 0]: verdict(unsafe=one) for at, one in said.items()}
    world.score(answered, judge_id, findings)
    return judge_id
