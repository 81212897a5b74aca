"""Names of one import that look alike: told, never folded, since identity is content.

What must hold: two names that a reader cannot tell apart (blanks, Unicode form, width, letter case)
become two models, judges or categories only with a remark that shows both and in what they differ.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lam3db.records import Sample

_SHOWN = 3
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_FOLDS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("blanks", lambda text: " ".join(text.translate(_INVISIBLE).split())),
    ("Unicode form", lambda text: unicodedata.normalize("NFC", text)),
    ("width", lambda text: unicodedata.normalize("NFKC", text)),
    ("letter case", str.casefold),
)


def alike(what: str, names: Iterable[str]) -> Iterator[str]:
    """Yield a remark for each way in which names of ``what`` (a plural) differ and look alike."""
    left = list(dict.fromkeys(names))
    for how, fold in _FOLDS:
        groups: dict[str, list[str]] = {}
        for name in left:
            groups.setdefault(fold(name), []).append(name)
        pairs = [group for group in groups.values() if len(group) > 1]
        if pairs:
            listed = ", ".join(
                " and ".join(shown(name) for name in group[:_SHOWN]) for group in pairs[:_SHOWN]
            )
            more = ", ..." if len(pairs) > _SHOWN else ""
            lead = f"{what} that differ in {how} only are stored as different"
            yield f"{lead}: {listed}{more} ({len(pairs):,})"
        left = list(groups)


def alike_samples(keys: Iterable[str], samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the remarks for the names of samples: keys, behaviors, categories, attacks."""
    listed = list(samples)
    yield from alike("keys", keys)
    yield from alike("behaviors", (sample.behavior.text for sample in listed))
    yield from alike("categories", (sample.behavior.category for sample in listed))
    yield from alike("attacks", (sample.attack.name for sample in listed))
