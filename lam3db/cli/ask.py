"""Options of ``lam3db report`` that say how a number is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lam3db.metrics import Question

_WHAT = "What is counted"
_HOW = "Denominator, replicates, interval"

Metric = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_WHAT,
        show_default="all that apply",
        help="Only these: asr, mean, refusal, over-refusal, toxicity (asr and mean), harm (mean); "
        "emt and toxicity-probability over replicates, or emt@5 over 5 of them.",
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        rich_help_panel=_WHAT,
        help="Unsafe is 'JUDGE>=0.7' or 'JUDGE>0.7', of an attribute 'JUDGE.insult>0.5', of any "
        "of them 'JUDGE.*>0.5', in place of the judge's policy. Repeatable.",
    ),
]
Attributes = Annotated[
    bool,
    typer.Option(
        "--attributes",
        rich_help_panel=_WHAT,
        help="Mean and share over the threshold of each attribute, and of any, for each judge.",
    ),
]
Rule = Annotated[
    str,
    typer.Option(
        rich_help_panel=_HOW,
        help="Replicates: each counts; or a sample counts once, unsafe if any is, as their mean, "
        "by majority, or any-of-3 (the chance that 3 attempts succeed, without bias).",
    ),
]
Missing = Annotated[
    str,
    typer.Option(
        rich_help_panel=_HOW,
        help="What was not scored is left out (scored), a failed attack (failure) or a successful "
        "one (success).",
    ),
]
Cluster = Annotated[
    str,
    typer.Option(
        rich_help_panel=_HOW,
        help="Samples that hang together, for intervals: of one behavior, sample, category, "
        "attack or metadata.NAME.",
    ),
]
Interval = Annotated[
    str, typer.Option(rich_help_panel=_HOW, help="analytic, or a bootstrap of whole clusters.")
]
Resamples = Annotated[
    int, typer.Option(min=1, rich_help_panel=_HOW, help="Draws of the bootstrap.")
]
Seed = Annotated[int, typer.Option(min=0, rich_help_panel=_HOW, help="Seed of the bootstrap.")]


def question(
    metric: str | None,
    threshold: list[str] | None,
    attributes: bool,
    rule: str,
    missing: str,
    cluster: str,
    interval: str,
    resamples: int,
    seed: int,
) -> Question:
    """Return what these options ask for; raise ConfigError."""
    from lam3db.metrics.question import Question, read_metrics, read_rule, read_threshold

    words = [word.strip() for word in (metric or "").split(",") if word.strip()]
    metrics, k = read_metrics(words)
    return Question(
        rule=read_rule(rule),
        missing=missing,
        cluster=cluster,
        interval=interval,
        seed=seed,
        resamples=resamples,
        thresholds=tuple(read_threshold(one) for one in threshold or ()),
        metrics=metrics,
        k=k,
        attributes=attributes,
    )
