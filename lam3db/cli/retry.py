"""``lam3db retry``: what failed for one reason, tried again."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.options import Db, SameFailures
from lam3db.cli.streams import echo
from lam3db.pipeline import SAME_FAILURES


def retry(
    issue: Annotated[str, typer.Option("--issue", help="The issue; `lam3db issue list`.")],
    runtime: Annotated[
        str, typer.Option("--runtime", help="The runtime config that the answers failed under.")
    ] = "runtime",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="What --set changed then. Repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    max_same_failures: SameFailures = SAME_FAILURES,
    db: Db = None,
) -> None:
    """Try exactly the failures of an issue again that have not succeeded since."""
    from dataclasses import replace

    from lam3db.cli import generate as generating
    from lam3db.cli import judge as judging
    from lam3db.cli.console import safe_text
    from lam3db.cli.progress import Bar
    from lam3db.config import load_runtime_config
    from lam3db.pipeline.retry import plan_retry
    from lam3db.store.engine import open_store

    loaded = load_runtime_config(runtime, list(settings or []))
    with open_store(db, mode="read" if dry_run else "write") as store:
        with Bar() as bar:
            plan = plan_retry(store, issue, loaded.config, bar)
        for command in plan.by_hand:
            echo(f"a run failed as a whole; run it again: {safe_text(command)}", err=True)
        if not plan.count and not plan.by_hand:
            echo(f"{issue}: nothing is left, all that failed has succeeded since")
            return
        if dry_run:
            answers = sum(len(job.only or ()) for job in plan.generate)
            echo(f"{issue}: {answers} answers and {plan.count - answers} scores to try again")
            return
        generate = [replace(job, max_same_failures=max_same_failures) for job in plan.generate]
        judge = [replace(job, max_same_failures=max_same_failures) for job in plan.judge]
        answered = generating.generate_all(store, generate) if generate else []
        scored = judging.judge_all(store, judge) if judge else []
    if answered:
        generating.leave(answered, again=f"lam3db retry --issue {issue}")
    judging.leave(scored)
