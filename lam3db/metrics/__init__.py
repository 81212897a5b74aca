"""Scores to numbers, each with what it needs to be believed."""

from lam3db.metrics.numbers import (
    RULES,
    Counts,
    Estimate,
    Number,
    Scope,
    knows_refusals,
    measure,
)

__all__ = ["RULES", "Counts", "Estimate", "Number", "Scope", "knows_refusals", "measure"]
