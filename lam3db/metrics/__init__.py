"""Scores to numbers, each with what it needs to be believed."""

from lam3db.metrics.counts import Counts
from lam3db.metrics.numbers import (
    RULES,
    Estimate,
    Number,
    Scope,
    knows_refusals,
    measure,
    measure_sums,
)
from lam3db.metrics.sums import CellTally, GroupSums, Tally, group_sums

__all__ = [
    "RULES",
    "CellTally",
    "Counts",
    "Estimate",
    "GroupSums",
    "Number",
    "Scope",
    "Tally",
    "group_sums",
    "knows_refusals",
    "measure",
    "measure_sums",
]
