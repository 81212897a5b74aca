"""A judge that sees whatever its settings say, opens every image, and can be told what to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.records import Finding, JudgeIdentity, JudgeKind, Sees, Subject, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import ImageOpener, Tick


@dataclass(frozen=True, slots=True)
class SeeingMaker:
    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        del tick
        sees = tuple(Sees(part) for part in config.settings["sees"])
        spec = {"seeing": config.name}
        return JudgeIdentity(config.name, JudgeKind.API, "1", spec, sees, (Verdict.UNSAFE,))

    def load(self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener) -> Any:
        return SeeingJudge(identity.sees, open_image, config.settings.get("says", 0.5))


@dataclass(slots=True)
class SeeingJudge:
    sees: tuple[Sees, ...]
    open_image: ImageOpener
    says: float

    def judge(self, subjects: Sequence[Subject]) -> Iterator[list[tuple[Subject, Finding]]]:
        for subject in subjects:
            assert (subject.prompt is not None) == (Sees.PROMPT in self.sees)
            assert (subject.behavior is not None) == (Sees.BEHAVIOR in self.sees)
            assert bool(subject.images) == (Sees.IMAGE in self.sees)
            sizes = [self.open_image(name).size for name in subject.images]
            numbers = {"images": float(len(sizes)), "letters": float(len(subject.response))}
            yield [(subject, Finding(value=self.says, attributes=numbers))]

    def close(self) -> None:
        pass


MAKER = SeeingMaker()
