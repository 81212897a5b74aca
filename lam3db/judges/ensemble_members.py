"""Who the members of an ensemble are: names of judge files, or digests, to identities.

What must hold: an ensemble is identified by its members' digests, never by their names; a
name means the judge its file describes now, so a changed file makes another ensemble. A judge
without a file (a person, one from another database) is named by its whole digest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db import plugins
from lam3db.config import load_judge_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.judges.scale import grades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import Tick
    from lam3db.records import Verdict

KIND = "ensemble"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class KnownMember:
    """A member as it was written, with its digest; the rest is None where only that is known."""

    written: str
    digest: str
    unsafe_verdicts: tuple[Verdict, ...] | None = None
    heading: str | None = None
    grades: tuple[float, float] | None = None


def written_members(config: JudgeConfig) -> tuple[str, ...]:
    """Return the members named in a file, unchecked; none where it is no ensemble."""
    found = config.settings.get("members") if config.kind == KIND else None
    return tuple(map(str, found)) if isinstance(found, tuple) else ()


def known_members(config: JudgeConfig, tick: Tick) -> list[KnownMember]:
    """Return the members in the order of their digests.

    Raises:
        NotFoundError: a name without a file.
        ConfigError: a member is the ensemble itself, or two members are one judge.
        JudgeError: a member cannot be described.

    """
    refuse_circles(config)
    found = [_known(config, written, tick) for written in written_members(config)]
    names: dict[str, str] = {}
    for member in found:
        if member.digest in names:
            raise ConfigError(
                f"judge {config.name}: {names[member.digest]} and {member.written} are one judge "
                f"({member.digest[:12]}), which would vote twice: leave one out"
            )
        names[member.digest] = member.written
    return sorted(found, key=lambda member: member.digest)


def refuse_circles(config: JudgeConfig, above: Sequence[str] = ()) -> None:
    """Raise ConfigError where an ensemble is, at whatever depth, a member of itself."""
    above = above or (config.name,)
    for written in written_members(config):
        if written in above:
            way = " > ".join((*above, written))
            raise ConfigError(f"judge {config.name}: an ensemble is a member of itself: {way}")
        member = None if _DIGEST.fullmatch(written) else _config(config, written)
        if member is not None and member.kind == KIND:
            refuse_circles(member, (*above, written))


def depth(config: JudgeConfig) -> int:
    """Return how many judgings come before this one: 0 for a judge that is no ensemble."""
    refuse_circles(config)
    names = [one for one in written_members(config) if not _DIGEST.fullmatch(one)]
    return max((1 + depth(_config(config, name)) for name in names), default=0)


def _known(config: JudgeConfig, written: str, tick: Tick) -> KnownMember:
    if _DIGEST.fullmatch(written):
        return KnownMember(written, written)
    member = _config(config, written)
    identity = plugins.judge_maker(member.kind).describe(member, tick)
    return KnownMember(
        written,
        identity.digest.hex(),
        tuple(identity.unsafe_verdicts),
        identity.heading,
        grades(identity.spec),
    )


def _config(config: JudgeConfig, written: str) -> JudgeConfig:
    try:
        return load_judge_config(written)
    except NotFoundError as error:
        raise NotFoundError(
            f"judge {config.name}, member {written}: {error}; a judge without a file is named by "
            f"its whole digest (`lam3db judge show {written}`)"
        ) from None
