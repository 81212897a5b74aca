"""One thing that a doctor has looked at, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["ok", "warn", "fail"]
LOCAL = "pip install 'lam3db[local]'"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: ``detail`` is what was found, ``cure`` what to do where not ok."""

    name: str
    state: State
    detail: str
    cure: str = ""


class Wanted(NamedTuple):
    """A config to look at; ``named`` by the user, so that a fault is an error."""

    name: str
    named: bool
