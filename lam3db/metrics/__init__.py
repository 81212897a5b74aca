"""Scores to numbers, each with what it needs to be believed."""

from lam3db.metrics.counts import Counts, Total
from lam3db.metrics.items import ItemTally
from lam3db.metrics.numbers import (
    Estimate,
    Extremes,
    Number,
    Repeated,
    Scope,
    knows_refusals,
    measure,
    measure_sums,
)
from lam3db.metrics.question import Question, Rule, Threshold
from lam3db.metrics.sums import Bounds, CellTally, GroupSums, Tally, group_sums
from lam3db.metrics.tally import load_tally

__all__ = [
    "Bounds",
    "CellTally",
    "Counts",
    "Estimate",
    "Extremes",
    "GroupSums",
    "ItemTally",
    "Number",
    "Question",
    "Repeated",
    "Rule",
    "Scope",
    "Tally",
    "Threshold",
    "Total",
    "group_sums",
    "knows_refusals",
    "load_tally",
    "measure",
    "measure_sums",
]
