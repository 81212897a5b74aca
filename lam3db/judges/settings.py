"""The settings of a judge, checked by the judge's own shape.

What must hold: a setting that nobody reads is an error, with what was meant; every fault of
the settings is told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict

from lam3db.config_files import Faults, raise_faults
from lam3db.config_shapes import check

if TYPE_CHECKING:
    from lam3db.config import JudgeConfig


class JudgeSettings(BaseModel):
    """Base of the shapes. A field's description ends the sentence "... is not"."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Shape = TypeVar("Shape", bound=JudgeSettings)


def read_settings(config: JudgeConfig, shape: type[Shape]) -> Shape:
    """Return the settings of a judge's config as ``shape``.

    Raises:
        ConfigError: unknown keys (with "did you mean") and wrong values, all of them.

    """
    faults = Faults(f"judge {config.name}, settings")
    settings = check(shape, config.settings, faults.add)
    raise_faults(faults)
    if settings is None:  # pragma: no cover - check() has told why
        raise AssertionError(config.name)
    return settings
