"""A small store for figures and pages: several models, attacks, categories, judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scored import BROKEN, COMPLIED, REFUSED, UNPARSED, World, detoxify, refusal, sample, toxic

from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scored import Answered
    from sqlalchemy import Connection

HOSTILE = "<script>alert(1)</script></svg>&amp;\"'\x1b[2J\u202e" + "x" * 300


def fill(
    conn: Connection, models: Sequence[str] = ("demo-llava", "demo-idefics2"), text: str = "answer"
) -> list[Answered]:
    """Write three judges' scores; the category ``weapons`` has no sample under ``wrapper``."""
    world = World(conn)
    samples = [
        sample(f"aim {category} {i}", attack, category=category)
        for category in ("plants", "weapons")
        for i in range(4)
        for attack in ("none", "wrapper")
        if (category, attack) != ("weapons", "wrapper")
    ]
    data = world.dataset([*samples, sample("nice", benign=True)])
    words, values = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">"))
    unsafe = (Verdict.UNSAFE,)
    guard = world.judge(JudgeIdentity("guard", JudgeKind.CLASSIFIER, "1", {}, (), unsafe))
    found = []
    for name in models:
        answered = world.answer(data, world.model(name), world.config(), failed=["k0"], text=text)
        ids = list(answered.ids.values())
        said = [COMPLIED, REFUSED, COMPLIED, COMPLIED, REFUSED, UNPARSED, BROKEN, REFUSED]
        world.score(answered, words, dict(zip(ids, said, strict=False)))
        world.score(answered, values, {i: toxic(n / 11) for n, i in enumerate(ids)})
        safe, bad = Finding(verdict=Verdict.SAFE), Finding(verdict=Verdict.UNSAFE)
        world.score(answered, guard, {i: (safe, bad)[n % 3 == 0] for n, i in enumerate(ids)})
        found.append(answered)
    return found
