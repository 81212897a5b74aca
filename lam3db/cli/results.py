"""``lam3db import results``: what others stored, as samples, answers and findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lam3db.cli.options import Db, pairs
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from lam3db.pipeline.imports.results import Imported, ImportJob
    from lam3db.pipeline.imports.survey import Survey


def import_results(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="Files, folders or patterns; packed or not. One import."
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--format", "-f", help="A format we know: see --formats.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", "-m", help="A YAML file that says what is where.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The dataset's name; else the map's or format's.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model, for files that do not name it.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of the images; else only named.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of a format, NAME=VALUE. Repeatable."),
    ] = None,
    repeats: Annotated[
        str | None,
        typer.Option("--repeats", help="What rows of one sample are: copies or draws."),
    ] = None,
    first_replicate: Annotated[
        int | None,
        typer.Option(
            "--first-replicate", min=0, max=1, help="The number its replicates begin with: 0 or 1."
        ),
    ] = None,
    formats: Annotated[
        bool, typer.Option("--formats", help="List supported formats and exit.")
    ] = False,
    guide: Annotated[
        bool,
        typer.Option(
            "--guide", help="Print all that a map may say, or what --format reads, and exit."
        ),
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print a map for this file, to be completed by you.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be stored; store nothing.")
    ] = False,
    db: Db = None,
) -> None:
    """Read answers and labels that others stored, in a known format or any table with a map.

    CSV, TSV, JSON, JSONL, Parquet, XLSX and .js with one value, as they are or as .gz, .bz2, .xz
    or .zip. Several files are one import. Judges and annotators of the file become judges with an
    origin; its answers can be judged by ours too. An attempt without an answer is counted as
    not generated. If anything is wrong, all that is wrong is told by row and column and nothing is
    stored; reading a file again changes nothing.

    A map is made with --suggest, completed by you (--guide tells all it may say, `lam3db init`
    copies examples to configs/imports) and tried with --dry-run.
    """
    from lam3db.errors import ConfigError

    if formats or guide:
        _list() if formats else _guide(output)
        return
    if not files:
        raise ConfigError("name the FILE to read; --formats lists what we know")
    if suggest:
        from lam3db.datasets.results.suggest import suggested_map

        echo(suggested_map(files[0]), nl=False)
        return
    if (output is None) == (mapping is None):
        raise ConfigError(
            "say how to read the file: --format NAME (--formats lists them) or --map FILE"
        )
    options = {"dataset": name, "model": model, "settings": pairs(settings, "--set")}
    job = _job(files, output, mapping, images, options)
    first = job.first_replicate if first_replicate is None else first_replicate
    job = replace(job, repeats=_repeats(repeats) or job.repeats, first_replicate=first)
    if dry_run:
        from lam3db.pipeline.imports.results import look

        _tell_survey(look(job))
        return
    from lam3db.cli.progress import Bar
    from lam3db.pipeline.imports.results import import_results as take_over
    from lam3db.store.engine import open_store

    with open_store(db, mode="write") as store, Bar() as bar:
        result = take_over(store, job, bar)
    _tell(result)


def _repeats(word: str | None) -> str | None:
    from lam3db.errors import ConfigError, did_you_mean
    from lam3db.pipeline.imports.attempts import REPEATS

    if word is not None and word not in REPEATS:
        hint = did_you_mean(word, REPEATS) or f": one of {', '.join(REPEATS)}"
        raise ConfigError(f"--repeats {word}{hint}")
    return word


def _guide(name: str | None) -> None:
    """Print what a format reads and which settings it takes; without one what a map may say."""
    import sys

    from lam3db.datasets.results import map as maps
    from lam3db.datasets.results.formats import reader_of

    module = maps if name is None else sys.modules[reader_of(name).__module__]
    echo((module.__doc__ or "").strip())


def _list() -> None:
    import sys

    from lam3db.datasets.results.formats import format_names, reader_of

    for name in format_names():
        module = sys.modules[reader_of(name).__module__]
        first = (module.__doc__ or "").strip().splitlines()[0]
        echo(f"{name:18}  {first}")


def _job(
    files: list[Path],
    output: str | None,
    mapping: Path | None,
    images: Path | None,
    options: dict[str, Any],
) -> ImportJob:
    from lam3db.datasets.files.sources import name_of
    from lam3db.datasets.images import ImageFolder
    from lam3db.datasets.results.formats import (
        FIRST_REPLICATE,
        FOLDERS,
        REPEATS,
        ReadOptions,
        reader_of,
    )
    from lam3db.errors import InputError
    from lam3db.pipeline.imports.results import ImportJob

    if images is not None and not images.is_dir():
        raise InputError(f"--images {images}: no such folder")
    asked = ReadOptions(images=ImageFolder(images), **options)
    if mapping is None:
        reader, origin = reader_of(output or ""), {"format": output}
        repeats, read_all = REPEATS.get(output or ""), None
    else:
        from lam3db.datasets.results.map import read_map

        found = read_map(mapping)
        reader, origin = found.read, {"map": mapping.name, "digest": found.digest.hex()}
        repeats, read_all = found.shape.repeats, found.read_all
    first = FIRST_REPLICATE.get(output or "") if mapping is None else None
    return ImportJob(
        files[0],
        reader,
        asked,
        origin,
        asked.dataset or name_of(files),
        repeats,
        first,
        others=tuple(files[1:]),
        read_all=read_all,
        folders=output in FOLDERS,
    )


def _tell_survey(seen: Survey) -> None:
    from lam3db.hashing import canonical_json
    from lam3db.records import text_of

    echo(f"{seen.attempts} attempts at {len(seen.samples)} samples, nothing is stored")
    _tell_seen(seen)
    first = seen.first
    if first is None:
        return
    echo(f"the first, in {first.row}:")
    shown = {
        "model": first.model.name,
        "config": dict(first.config.value),
        "key": first.key,
        "behavior": first.behavior.text,
        "category": first.behavior.category,
        "benign": first.behavior.is_benign,
        "attack": {"name": first.attack.name, **first.attack.parameters},
        "prompt": None if first.messages is None else text_of(first.messages),
        "metadata": dict(first.metadata),
        "response": first.response,
    }
    for field, value in shown.items():
        echo(f"  {field}: {_short(canonical_json(value))}")
    for said in first.findings:
        finding = said.finding
        words = [str(finding.status), finding.verdict, finding.value]
        told = " ".join(str(word) for word in words if word is not None)
        name = _name(said.judge.identity.name)
        echo(f"  {name} ({said.judge.identity.kind}): {told}")


def _short(text: str) -> str:
    from lam3db.cli.options import width
    from lam3db.report.text import safe_text

    return safe_text(text, width() - 20)


def _name(text: str) -> str:
    """Return a name of the file on one line, so that it cannot pass for lines of ours."""
    from lam3db.report.text import safe_text

    return safe_text(text, 200)


def _remark(text: str) -> str:
    """Return a remark on one line: it quotes names and words of the file."""
    from lam3db.report.text import safe_text

    return safe_text(text, 10_000)


def _tell_seen(seen: Survey) -> None:
    for group in seen.groups:
        asked = sum(group.attempts.values())
        echo(f"  {_name(group.model.name)}: {asked} attempts, {group.answers} answers")
    for digest, judge in seen.judges.items():
        identity = judge.identity
        counts = seen.findings[digest]
        told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        name = _name(identity.name)
        echo(f"  {name} [{digest.hex()[:8]}] ({identity.kind}): {told or 'nothing'}")
    if seen.dropped:
        echo(f"  {seen.dropped} findings are of attempts without an answer: left out")
    for line in seen.remarks:
        echo(f"  {_remark(line)}")


def _tell(result: Imported) -> None:
    seen, stored = result.seen, result.stored
    for row in stored.datasets:
        state = "new" if row.is_new else "unchanged"
        echo(f"{_name(row.name)}@{row.version}: {row.sample_count} samples, {state}")
    _tell_seen(seen)
    missing = f", {seen.missing} attempts without one" if seen.missing else ""
    echo(f"answers: {stored.new} new, {stored.known} known{missing}")
    for one in stored.judges:
        echo(f"{_name(one.name)} [{one.digest[:8]}]: {one.new} scores new, {one.known} known")
