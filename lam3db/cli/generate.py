"""``lam3db generate``: answers of models, from the store where they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db, MaxCost, MaxRequests, SameFailures, Where, pairs
from lam3db.cli.streams import echo
from lam3db.pipeline import SAME_FAILURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.pipeline.generate import GenerateJob, GenerateResult
    from lam3db.store.engine import Store

Models = Annotated[
    list[str], typer.Option("--model", "-m", help="Name of a model config, or a YAML file.")
]
Dataset = Annotated[
    str, typer.Option("--dataset", "-d", help="Name of a dataset; NAME@2 for version 2.")
]
Runtime = Annotated[
    str, typer.Option("--runtime", help="Name of a runtime config, or a YAML file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one setting: --set temperature=0.7. Repeatable."),
]
Part = Annotated[str | None, typer.Option(help="I/N: the I-th of N parts, cut by input digest.")]
BatchSize = Annotated[
    str | None,
    typer.Option(help="A number, or auto: halved when memory runs out.", show_default="auto"),
]


def generate(
    model: Models,
    dataset: Dataset,
    runtime: Runtime = "runtime",
    settings: Settings = None,
    replicates: Annotated[int, typer.Option(min=1, help="Answers per sample.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None,
    shard: Part = None,
    batch_size: BatchSize = None,
    where: Where = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what has failed for good.")
    ] = False,
    max_requests: MaxRequests = None,
    max_cost: MaxCost = None,
    max_same_failures: SameFailures = SAME_FAILURES,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    db: Db = None,
) -> None:
    """Ask models for the answers that are not stored yet."""
    from lam3db.cli.progress import Bar
    from lam3db.config import load_model_config, load_runtime_config
    from lam3db.endpoints.options import with_budget
    from lam3db.pipeline.generate import GenerateJob, Shard
    from lam3db.pipeline.preflight import preflight
    from lam3db.store.engine import open_store

    sizes = [] if batch_size is None else [f"batch_size={batch_size}"]
    loaded = load_runtime_config(runtime, [*(settings or []), *sizes])
    models = [with_budget(load_model_config(name), max_requests, max_cost) for name in model]
    tell(loaded.changes)
    jobs = [
        GenerateJob(
            model=one,
            runtime=loaded.config,
            dataset=dataset,
            where=pairs(where, "--where"),
            limit=limit,
            shard=Shard.parse(shard) if shard else None,
            replicates=replicates,
            retry=retry,
            max_same_failures=max_same_failures,
        )
        for one in models
    ]
    if len(jobs) > 1:
        with Bar() as bar:
            preflight(jobs, (), bar)
    with open_store(db, mode="read" if dry_run else "write") as store:
        if dry_run:
            preview_all(store, jobs)
            return
        results = generate_all(store, jobs)
    leave(results, again="lam3db generate")


def tell(sentences: Sequence[str]) -> None:
    """Write sentences for the user to stderr."""
    for sentence in sentences:
        echo(sentence, err=True)


def preview_all(store: Store, jobs: Sequence[GenerateJob]) -> None:
    """Print what each job would do."""
    from lam3db.cli.progress import Bar
    from lam3db.pipeline.generate import preview

    with Bar() as bar:
        counts = [(job, preview(store, job, bar)) for job in jobs]
    for job, count in counts:
        echo(
            f"{job.model.name}: {count.planned} answers wanted, {count.cached} stored, "
            f"{count.new} to generate"
        )


def generate_all(store: Store, jobs: Sequence[GenerateJob]) -> list[GenerateResult]:
    """Do the jobs one after the other; stop at an interruption."""
    from lam3db.cli.progress import Bar
    from lam3db.pipeline.generate import generate as do
    from lam3db.records import RunStatus

    results: list[GenerateResult] = []
    with Bar() as bar:
        for job in jobs:
            results.append(do(store, job, bar))
            if results[-1].status is RunStatus.INTERRUPTED:
                break
    for result in results:
        echo(summary(result))
    return results


def summary(result: GenerateResult) -> str:
    """Return one line on one model's answers."""
    counts = result.counts
    share = f" ({counts.cached / counts.planned:.0%} from the cache)" if counts.planned else ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    line = (
        f"{result.model}: {counts.planned} answers wanted, {counts.cached} cached, "
        f"{counts.new} new{failed}{share}, {result.seconds:.1f} s, run {result.run_uid}"
    )
    return f"{line}\n  stopped: {result.error}" if result.error else line


def leave(results: Sequence[GenerateResult], again: str) -> None:
    """End the command with the exit code its results call for."""
    from lam3db.cli import INTERRUPTED, SOME_FAILED
    from lam3db.records import RunStatus

    statuses = {result.status for result in results}
    if RunStatus.INTERRUPTED in statuses:
        missing = sum(result.missing for result in results)
        echo(
            f"interrupted; everything answered is stored, {missing} answers are missing.\n"
            f"Go on with the same `{again}` command.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
    if RunStatus.FAILED in statuses:
        echo("some requests failed: see `lam3db status`", err=True)
        raise typer.Exit(SOME_FAILED)
