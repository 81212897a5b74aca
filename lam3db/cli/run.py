"""``lam3db run FILE``: generate, judge and report from one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db, SameFailures
from lam3db.cli.streams import echo
from lam3db.pipeline import SAME_FAILURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.config import RunConfig
    from lam3db.pipeline.generate import GenerateJob
    from lam3db.store.engine import Store


def run(
    file: Annotated[str, typer.Argument(help="A run config: configs/runs/demo.yaml, or its name.")],
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what has failed for good.")
    ] = False,
    max_same_failures: SameFailures = SAME_FAILURES,
    db: Db = None,
) -> None:
    """Generate what is missing, judge what is pending, and report."""
    from lam3db.cli import generate as generation
    from lam3db.cli import judge as judging
    from lam3db.cli.progress import Bar
    from lam3db.config import load_judge_config, load_run_config
    from lam3db.pipeline.judge import JudgeJob
    from lam3db.pipeline.preflight import preflight
    from lam3db.records import RunStatus
    from lam3db.store.engine import open_store
    from lam3db.store.pending import ScoreScope

    config = load_run_config(file)
    judges = [load_judge_config(name) for name in config.judges]
    jobs = _jobs(config, retry=retry, max_same_failures=max_same_failures)
    with Bar() as bar:
        preflight(jobs, judges, bar)
    with open_store(db, mode="write") as store:
        dataset = _dataset(store, config)
        made = generation.generate_all(store, [_on(job, dataset) for job in jobs])
        if any(result.status is RunStatus.INTERRUPTED for result in made):
            generation.leave(made, again="lam3db run")
        scope = ScoreScope(None, None, dataset)
        todo = [
            JudgeJob(one, scope, retry=retry, max_same_failures=max_same_failures) for one in judges
        ]
        judged = judging.judge_all(store, todo)
        _report(store, [result.model for result in made], dataset, config.report_by)
    _next(file)
    generation.leave(made, again="lam3db run")
    judging.leave(judged)


def _jobs(config: RunConfig, *, retry: bool, max_same_failures: int) -> list[GenerateJob]:
    from lam3db.cli.generate import tell
    from lam3db.config import load_model_config, load_runtime_config
    from lam3db.pipeline.generate import GenerateJob

    loaded = load_runtime_config(config.runtime, settings=config.settings)
    tell(loaded.changes)
    return [
        GenerateJob(
            model=load_model_config(name),
            runtime=loaded.config,
            dataset=config.dataset,
            limit=config.limit,
            replicates=config.replicates,
            retry=retry,
            max_same_failures=max_same_failures,
        )
        for name in config.models
    ]


def _on(job: GenerateJob, dataset: str) -> GenerateJob:
    from dataclasses import replace

    return replace(job, dataset=dataset)


def _dataset(store: Store, config: RunConfig) -> str:
    """Return the dataset's name; a path (``data/mini_bench``) is added first."""
    from lam3db.pipeline.ingest import add_dataset
    from lam3db.resources import find_path

    path = find_path(config.dataset) if "/" in config.dataset else None
    if path is None:
        return config.dataset
    added = add_dataset(store, path)
    return f"{added.name}@{added.version}"


def _report(store: Store, models: Sequence[str], dataset: str, by: Sequence[str]) -> None:
    from lam3db.cli.options import width
    from lam3db.report import Scope, build_report, render

    with store.read() as conn:
        built = build_report(conn, Scope(models=tuple(models), dataset=dataset), by)
    echo("")
    echo(render(built, "table", width()))


def _next(file: str) -> None:
    from lam3db.cli.options import program

    lam3db = program()
    echo("Next:")
    echo(f"  {lam3db} run {file}  # again: every answer comes from the cache")
    echo(f"  {lam3db} show --where attack=typographic --limit 3")
    echo(f"  {lam3db} report --by model,category,attack")
    echo(f'  {lam3db} sql "SELECT model, attack, text FROM v_generation LIMIT 5"')
