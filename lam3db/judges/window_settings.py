"""The settings that every judge has which reads a text in windows.

What must hold: ``window`` and ``overlap`` change what is said of a long text, so they belong
to the identity; ``device`` and ``token_budget`` do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from lam3db.errors import ConfigError, JudgeError
from lam3db.judges.settings import JudgeSettings, read_settings
from lam3db.judges.windows import Windower

if TYPE_CHECKING:
    from lam3db.config import JudgeConfig
    from lam3db.judges.loaded import LoadedClassifier

_WHOLE = "a whole number from 1"
_CPU_BUDGET = 2048
_GPU_BUDGET = 32768


class WindowSettings(JudgeSettings):
    """Windows count tokens, special ones included; ``token_budget`` is of one batch."""

    window: int | None = Field(default=None, ge=8, description="a whole number from 8")
    overlap: int = Field(default=64, ge=0, description="a whole number from 0")
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:0"
    )
    token_budget: int | None = Field(default=None, ge=1, description=_WHOLE)


Shape = TypeVar("Shape", bound=WindowSettings)


def read_window_settings(config: JudgeConfig, shape: type[Shape]) -> Shape:
    """Return the settings of a judge's config as ``shape``; raise ConfigError."""
    settings = read_settings(config, shape)
    if settings.window is not None and settings.overlap > settings.window // 2:
        raise ConfigError(
            f"judge {config.name}, settings: overlap: {settings.overlap} is above half of "
            f"window: {settings.window}"
        )
    return settings


def window_identity(settings: WindowSettings) -> dict[str, Any]:
    """Return what belongs to the identity; the model's own limit follows from its files."""
    spec: dict[str, Any] = {"overlap": settings.overlap}
    if settings.window is not None:
        spec["window"] = settings.window
    return spec


def make_windower(
    config: JudgeConfig, settings: WindowSettings, loaded: LoadedClassifier
) -> Windower:
    """Return what cuts texts for this model; raise JudgeError where it has no such window."""
    size = settings.window or loaded.limit
    if size > loaded.limit:
        raise JudgeError(
            f"judge {config.name}: window: {size} is above the {loaded.limit} tokens of its model"
        )
    overlap = min(settings.overlap, size // 2)
    if size - loaded.tokenizer.num_special_tokens_to_add() <= overlap:
        raise JudgeError(f"judge {config.name}: windows of {size} tokens are too small to move on")
    return Windower(loaded.tokenizer, size, overlap)


def batch_budget(settings: WindowSettings, loaded: LoadedClassifier) -> int:
    """Return the tokens of a batch, padding included."""
    default = _CPU_BUDGET if loaded.model.device.type == "cpu" else _GPU_BUDGET
    return settings.token_budget or default
