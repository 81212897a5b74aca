"""The tree of commands. What must hold: nothing heavy is imported before a command runs."""

from __future__ import annotations

import inspect

import typer

from lam3db.cli import (
    agree,
    bundle,
    compare,
    curve,
    dataset,
    db,
    doctor,
    ensemble,
    explain,
    flips,
    generate,
    init,
    issue,
    judge,
    labels,
    log,
    merge,
    purge,
    report,
    results,
    retry,
    review,
    run,
    scores,
    smoke,
    sql,
)
from lam3db.cli.streams import echo

app = typer.Typer(
    name="lam3db",
    help="A database of safety evaluations of multimodal models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Show the version and leave."),
) -> None:
    """Answers, scores and reports of safety evaluations, in one database."""
    if show:
        from lam3db import __version__

        echo(f"lam3db {__version__}")
        raise typer.Exit


FIRST, WORK, READ, KEEP = "Start", "Work", "Read", "Keep"
app.command("init", rich_help_panel=FIRST)(init.init)
app.command("doctor", rich_help_panel=FIRST)(doctor.doctor)
app.command("smoke", rich_help_panel=FIRST)(smoke.smoke)
app.command("run", rich_help_panel=FIRST)(run.run)
app.add_typer(dataset.app, name="dataset", rich_help_panel=WORK)
app.command("generate", rich_help_panel=WORK)(generate.generate)
app.add_typer(judge.app, name="judge", rich_help_panel=WORK)
app.add_typer(ensemble.app, name="ensemble", rich_help_panel=WORK)
app.add_typer(review.app, name="review", rich_help_panel=WORK)
app.add_typer(bundle.app, name="bundle", rich_help_panel=WORK)
app.command("retry", rich_help_panel=WORK)(retry.retry)
app.add_typer(issue.app, name="issue", rich_help_panel=WORK)
app.add_typer(log.app, name="log", rich_help_panel=WORK)
app.command("report", rich_help_panel=READ)(report.report)
app.command("compare", rich_help_panel=READ)(compare.compare)
app.command("explain", rich_help_panel=READ)(explain.explain)
app.command("agree", rich_help_panel=READ)(agree.agree)
app.command("flips", rich_help_panel=READ)(flips.flips)
app.command("curve", rich_help_panel=READ)(curve.curve)
app.command("labels", rich_help_panel=READ)(labels.labels)
app.command("status", rich_help_panel=READ)(report.status)
app.command("show", rich_help_panel=READ)(report.show)
report.export_app.command("scores")(scores.export_scores)
app.add_typer(report.export_app, name="export", rich_help_panel=READ)
app.command("sql", rich_help_panel=READ)(sql.sql)
scores.import_app.command("results")(results.import_results)
app.add_typer(scores.import_app, name="import", rich_help_panel=KEEP)
app.command("merge", rich_help_panel=KEEP)(merge.merge)
app.command("purge", rich_help_panel=KEEP)(purge.purge)
app.add_typer(db.app, name="db", rich_help_panel=KEEP)


def _flow(group: typer.Typer) -> None:
    """Let the paragraphs of every help text fill the terminal's lines, not the source's."""
    for command in group.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    for below in group.registered_groups:
        if below.typer_instance is not None:
            _flow(below.typer_instance)


_flow(app)
