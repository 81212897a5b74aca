"""Published benchmarks: each in the format its authors give it, by name.

What must hold: a name is one module with one ``FORMAT``; what a format does not say of a
record is told as a fault, not guessed; no text of a benchmark is kept here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from lam3db.datasets.published.shape import PublishedFormat

FORMATS = {
    "advbench": "lam3db.datasets.published.advbench:FORMAT",
    "figstep": "lam3db.datasets.published.figstep:FORMAT",
    "hades": "lam3db.datasets.published.hades:FORMAT",
    "harmbench": "lam3db.datasets.published.harmbench:FORMAT",
    "jailbreakv": "lam3db.datasets.published.jailbreakv:FORMAT",
    "mm-safetybench": "lam3db.datasets.published.mm_safetybench:FORMAT",
    "realtoxicityprompts": "lam3db.datasets.published.realtoxicityprompts:FORMAT",
    "strongreject": "lam3db.datasets.published.strongreject:FORMAT",
    "vlguard": "lam3db.datasets.published.vlguard:FORMAT",
    "xstest": "lam3db.datasets.published.xstest:FORMAT",
}


def published_format(name: str) -> PublishedFormat:
    """Return the format of this name; raise ConfigError for a name that none has."""
    if name not in FORMATS:
        known = sorted(FORMATS)
        raise ConfigError(f"--format {name}: no such format{did_you_mean(name, known)}")
    module, _, attribute = FORMATS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
