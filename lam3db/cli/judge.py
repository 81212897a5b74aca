"""``lam3db judge``: scores of judges for answers that have none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lam3db.cli.options import Db, Excel, Format, MaxCost, MaxRequests, SameFailures, csv_for
from lam3db.cli.streams import echo
from lam3db.pipeline import SAME_FAILURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.pipeline.judge import JudgeJob, JudgeResult
    from lam3db.pipeline.members import Waiting
    from lam3db.records import ScoreStatus
    from lam3db.store.engine import Store

_MOST_REMARKS = 20
app = typer.Typer(help="Score stored answers; list and show judges.", invoke_without_command=True)


@app.callback()
def judge(
    ctx: typer.Context,
    pending: Annotated[
        bool, typer.Option("--pending", help="Judge everything without a score, over all runs.")
    ] = False,
    names: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", help="Name of a judge config, or a YAML file. Repeatable."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Only this run's answers.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's answers.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only answers to this dataset.")] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what has failed for good.")
    ] = False,
    retry_status: Annotated[
        list[str] | None,
        typer.Option(help="Ask again where the status is this (unparsed ...): a new revision."),
    ] = None,
    max_requests: MaxRequests = None,
    max_cost: MaxCost = None,
    max_same_failures: SameFailures = SAME_FAILURES,
    db: Db = None,
) -> None:
    """Score stored answers; `--pending` drains what has no score under the judges named."""
    if ctx.invoked_subcommand is not None:
        return
    if not pending and not retry_status:
        echo(ctx.get_help())
        raise typer.Exit(2)
    from lam3db.config import load_judge_config
    from lam3db.endpoints.options import with_budget
    from lam3db.pipeline.judge import JudgeJob
    from lam3db.pipeline.judges import judges_in_use
    from lam3db.store.engine import open_store
    from lam3db.store.pending import ScoreScope

    scope = ScoreScope(run, model, dataset)
    statuses = _statuses(retry_status)
    configs = [load_judge_config(name) for name in names or ()]
    with open_store(db, mode="write") as store:
        if not configs:
            configs = judges_in_use(store)
        configs = [with_budget(one, max_requests, max_cost) for one in configs]
        jobs = [
            JudgeJob(
                one,
                scope,
                retry=retry,
                retry_status=statuses,
                max_same_failures=max_same_failures,
            )
            for one in configs
        ]
        results = judge_all(store, jobs)
    leave(results)


@app.command("list")
def list_judges(
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """List the judges that have scored, and the judge configs there are."""
    from lam3db.cli.console import out, print_rows
    from lam3db.config import list_configs
    from lam3db.errors import DatabaseMissingError
    from lam3db.pipeline.judges import stored_judges
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    try:
        with open_store(db, mode="read") as store:
            rows = stored_judges(store)
    except DatabaseMissingError:
        rows = []
    used = {row["judge"] for row in rows}
    others = [name for name in list_configs("judges") if name not in used]
    if output != "table":
        rows += [{"judge": name, "kind": "(config)"} for name in others]
    columns = ["judge", "kind", "version", "digest", "sees", "threshold", "operator"]
    columns += ["scores", "failures"]
    if output == "table":
        columns.remove("version")  # `judge show` has it; the digest tells judges apart
        columns.remove("operator")
        rows = [{**row, "digest": row["digest"][:8], "threshold": _policy(row)} for row in rows]
    print_rows([[row.get(name) for name in columns] for row in rows], columns, output, excel=excel)
    if output == "table" and others:
        out.print(f"\nno scores here yet (lam3db judge catalog): {', '.join(others)}")


def _policy(row: Mapping[str, Any]) -> str | None:
    threshold = row["threshold"]
    return None if threshold is None else f"{row['operator']} {threshold:g}"


@app.command("catalog")
def show_catalog(
    output: Annotated[
        Literal["table", "csv", "json", "markdown"],
        typer.Option("--format", help="table, csv, json or markdown."),
    ] = "table",
    excel: Excel = False,
) -> None:
    """List the judges to choose from: what each sees, gives, costs, its licence and flaw."""
    from lam3db.cli.console import print_rows
    from lam3db.pipeline.catalog import COLUMNS, catalog, markdown

    output = csv_for(output, excel=excel)
    if output == "markdown":
        echo(markdown(), nl=False)
    else:
        print_rows(catalog(), COLUMNS, output, excel=excel)


@app.command("show")
def show_judge(
    name: Annotated[str, typer.Argument(help="A judge config's name or file, or a digest.")],
    db: Db = None,
) -> None:
    """Show one judge whole: identity, settings, what it sees, its policy."""
    from lam3db.cli.console import print_json
    from lam3db.errors import DatabaseMissingError
    from lam3db.pipeline.judges import judge_facts
    from lam3db.store.engine import open_store

    try:
        with open_store(db, mode="read") as store:
            facts = judge_facts(store, name)
    except DatabaseMissingError:
        facts = judge_facts(None, name)
    print_json(facts)


def judge_all(store: Store, jobs: Sequence[JudgeJob]) -> list[JudgeResult]:
    """Do the jobs one after the other, ensembles last; stop at an interruption."""
    from lam3db.cli.progress import Bar
    from lam3db.pipeline.judge import judge_pending
    from lam3db.pipeline.judge_todo import check_ways
    from lam3db.pipeline.judges import members_first
    from lam3db.records import RunStatus

    results: list[JudgeResult] = []
    with Bar() as bar:
        check_ways(store, jobs, bar)
        for job in members_first(jobs):
            results.append(judge_pending(store, job, bar))
            if results[-1].status is RunStatus.INTERRUPTED:
                break
    for result in results:
        echo(summary(result))
    return results


def summary(result: JudgeResult) -> str:
    """Return one line on one judge's scores, one per remark, one for each judge it waits for."""
    return "\n  ".join([_summary(result), *_remarks(result), *map(_waits, result.waiting)])


def _remarks(result: JudgeResult) -> list[str]:
    lines = [f"{text} ({count:,})" for text, count in result.remarks[:_MOST_REMARKS]]
    further = sum(count for _, count in result.remarks[_MOST_REMARKS:])
    return [*lines, f"further remarks ({further:,})"] if further else lines


def _summary(result: JudgeResult) -> str:
    counts = result.counts
    name = f"{result.judge} [{result.digest[:8]}]"
    given_up = (
        f", {result.given_up} failed for good (--retry asks again)" if result.given_up else ""
    )
    if not counts.planned:
        nothing = "nothing can be judged yet" if result.waiting else "nothing pending"
        return f"{name}: {nothing}{given_up}"
    if result.ended_on is not None:
        left = counts.planned - counts.cached
        return (
            f"{name}: ended on {result.ended_on}: {counts.planned} pending, {counts.cached} scored "
            f"by findings already stored, {left} stay pending"
        )
    linked = f", {counts.cached} by findings already stored" if counts.cached else ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    revised = f" ({result.revised} anew, as revisions)" if result.revised else ""
    line = (
        f"{name}: {counts.planned} pending{revised}, {counts.new} scored{linked}{failed}"
        f"{given_up}, {result.seconds:.1f} s"
    )
    return f"{line}\n  stopped: {result.error}" if result.error else line


def _waits(waiting: Waiting) -> str:
    command = f"lam3db judge --pending --judge {waiting.member}"
    failed = f" ({waiting.failed} failed for good: {command} --retry)" if waiting.failed else ""
    return f"{waiting.answers} answers wait for member {waiting.member}: {command}{failed}"


def leave(results: Sequence[JudgeResult]) -> None:
    """End the command with the exit code its results call for."""
    from lam3db.cli import INTERRUPTED, SOME_FAILED
    from lam3db.records import RunStatus

    statuses = {result.status for result in results}
    if RunStatus.INTERRUPTED in statuses:
        echo(
            "interrupted; every score made is stored. Go on with `lam3db judge --pending`.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
    if RunStatus.FAILED in statuses:
        echo("some answers could not be judged: see `lam3db status`", err=True)
        raise typer.Exit(SOME_FAILED)
    if any(result.waiting for result in results):
        echo("some answers wait for other judges' scores: see above", err=True)
        raise typer.Exit(SOME_FAILED)


def _statuses(names: list[str] | None) -> tuple[ScoreStatus, ...]:
    from lam3db.errors import ConfigError, did_you_mean
    from lam3db.records import ScoreStatus

    known = [str(status) for status in ScoreStatus if status is not ScoreStatus.OK]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"--retry-status {name!r}{did_you_mean(name, known)}")
    return tuple(ScoreStatus(name) for name in names or ())
