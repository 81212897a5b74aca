"""A database opened to be read from Python.

What must hold: nothing here can write, because the database refuses it; what is read is what
the commands print: the same scope, the same numbers, the same columns as the public views.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from lam3db.errors import StoreError
from lam3db.hashing import unescape
from lam3db.metrics import Scope
from lam3db.reading.columns import check_kinds, metric_columns, sql_columns, view_columns
from lam3db.reading.frame import Column, Frame
from lam3db.report.build import DEFAULT_BY, Report, build_report, choose_judges
from lam3db.report.formats import flat_names, flat_rows
from lam3db.report.scope import resolve
from lam3db.store.answers import stream_answer_scores, stream_answers
from lam3db.store.bulk import select_in
from lam3db.store.engine import Store, open_store
from lam3db.store.query import run_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Question
    from lam3db.reading.frame import Kind

_PAGE = 1000
ATTRIBUTE = "attribute."


class Within(TypedDict, total=False):
    """What narrows a reading, as the options of the commands do.

    ``run`` is the start of a run's uid, ``dataset`` is ``name`` or ``name@2``, ``where`` maps a
    field (category, attack, behavior, key, benign, metadata.NAME) to its value. Without run and
    dataset it is, of each dataset, the latest version that a run was made on.
    """

    run: str | None
    models: Sequence[str]
    dataset: str | None
    where: Mapping[str, str] | None


class Database:
    """An open database, as :func:`lam3db.open` gives it; a context manager.

    What is read is narrowed by the keywords of :class:`Within`. Each frame sees one state of
    the database each time it is read.
    """

    def __init__(self, store: Store) -> None:
        """Use :func:`open_database`."""
        self._store = store
        self._is_open = True
        self._reading: set[Connection] = set()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return where it is, without a password."""
        return f"<lam3db {self._store.url}{'' if self._is_open else ', closed'}>"

    def close(self) -> None:
        """Close it; its frames can be read no more."""
        self._is_open = False
        for conn in tuple(self._reading):
            conn.close()
        self._store.close()

    def generations(self, **within: Unpack[Within]) -> Frame:
        """Return the answers in scope, with the columns of ``v_generation``.

        One row per answer and dataset version in scope that holds its sample.

        Raises:
            NotFoundError, ConfigError: when it is read, as the commands do.

        """
        scope, columns = _scope(within), view_columns("v_generation")
        names = [column.name for column in columns]

        def rows(conn: Connection) -> Iterator[tuple[Any, ...]]:
            _, found = stream_answers(conn, resolve(conn, scope)[0])
            return (tuple(row[name] for name in names) for row in found)

        return Frame(columns, self._reader(rows))

    def scores(
        self, judges: Sequence[str] = (), *, attributes: bool = False, **within: Unpack[Within]
    ) -> Frame:
        """Return the latest scores of the answers in scope, with the columns of ``v_score``.

        ``judges`` are names, or ``name#digest``; all when none. With ``attributes`` every other
        number that one of them gives has a column ``attribute.NAME``.

        Raises:
            NotFoundError: no such judge; no such model, run, dataset, when it is read.

        """
        scope, columns = _scope(within), view_columns("v_score")
        with self._connection() as conn:
            chosen = [column.judge for column in choose_judges(conn, _several(judges))]
            named = _attribute_names(conn, [judge.id for judge in chosen]) if attributes else []
        digests = [judge.digest for judge in chosen]

        def rows(conn: Connection) -> Iterator[tuple[Any, ...]]:
            found = stream_answer_scores(conn, resolve(conn, scope)[0], digests)[1]
            return _with_attributes(conn, found, named) if named else found

        more = (Column(f"{ATTRIBUTE}{name}", "number") for name in named)
        return Frame((*columns, *more), self._reader(rows))

    def report(
        self,
        by: Sequence[str] = DEFAULT_BY,
        judges: Sequence[str] = (),
        *,
        question: Question | None = None,
        **within: Unpack[Within],
    ) -> Report:
        """Return what ``lam3db report`` prints; :func:`lam3db.report.render` makes it a text.

        ``question`` is a :class:`lam3db.metrics.Question`: rule over replicates, denominator,
        thresholds, clusters, interval. Without one, the defaults of the command.

        Raises:
            ConfigError, NotFoundError: as the command does.

        """
        with self._connection() as conn:
            asked, named = _several(by), _several(judges)
            return build_report(conn, _scope(within), asked, named, question=question)

    def metrics(
        self,
        by: Sequence[str] = DEFAULT_BY,
        judges: Sequence[str] = (),
        *,
        question: Question | None = None,
        **within: Unpack[Within],
    ) -> Frame:
        """Return the numbers of a report, one row per group and judge, as its CSV has them.

        Each with n, what was not scored, interval, judge digest, threshold, rule, and the ref
        that ``lam3db explain`` takes.

        Raises:
            ConfigError, NotFoundError: as the command does.

        """
        report = self.report(by, judges, question=question, **within)
        names = flat_names(report.by)
        rows = [tuple(row[name] for name in names) for row in flat_rows(report)]
        return Frame(metric_columns(names), lambda: iter(rows))

    def sql(self, statement: str, kinds: Mapping[str, Kind] | None = None) -> Frame:
        """Return what one reading statement gives; its rows are held in memory.

        A column that is called as one of the views has its type, where everything in it fits;
        any other has the type of what it holds, text where it holds nothing. ``kinds`` says it
        of a column by name (``{"rate": "number"}``), so that frames of two statements that
        compute something can be put together. Digests are hexadecimal.

        Raises:
            StoreError: the database refused the statement, as it does every one that writes, or
                two columns have one name.
            ConfigError: ``kinds`` names a column that is not there, no kind, or one that a value
                of the column does not fit.

        """
        self._check()
        with run_query(self._store, statement) as answered:
            names, rows = answered.columns, list(answered.rows)
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise StoreError(f"two columns are called {min(twice)}: name them apart with AS")
        check_kinds(names, rows, kinds or {})
        return Frame(sql_columns(names, rows, kinds or {}), lambda: iter(rows))

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._check()
        with self._store.read() as conn:
            self._reading.add(conn)
            try:
                yield conn
            finally:
                self._reading.discard(conn)

    def _check(self) -> None:
        if not self._is_open:
            raise StoreError(f"{self._store.url} was closed: read inside the `with` block")

    def _reader(
        self, rows: Callable[[Connection], Iterator[tuple[Any, ...]]]
    ) -> Callable[[], Iterator[tuple[Any, ...]]]:
        """Return what reads rows on a connection of its own, as long as the database is open."""

        def read() -> Iterator[tuple[Any, ...]]:
            with self._connection() as conn:
                found = rows(conn)
                while some := list(islice(found, _PAGE)):
                    yield from some
                    self._check()

        return read


def open_database(url: str | None = None) -> Database:
    """Open the database at ``url`` (a SQLite file, an SQLAlchemy URL, None: the default) to read.

    Raises:
        StoreError: there is none, or it is of another version (see :mod:`lam3db.errors`).

    """
    return Database(open_store(url, mode="read"))


def _scope(within: Within) -> Scope:
    return Scope(
        within.get("run"),
        _several(within.get("models", ())),
        within.get("dataset"),
        dict(within.get("where") or {}),
    )


def _several(names: Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple; one name is one, and not its letters."""
    return (names,) if isinstance(names, str) else tuple(names)


def _attribute_names(conn: Connection, judges: Sequence[int]) -> list[str]:
    asked = (
        "SELECT DISTINCT a.attribute FROM finding_attribute a JOIN finding f"
        " ON f.id = a.finding_id WHERE f.judge_id"
    )
    return sorted({unescape(name) for (name,) in select_in(conn, asked, (), judges, "bigint")})


def _with_attributes(
    conn: Connection, rows: Iterator[tuple[Any, ...]], names: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Add to each row of ``v_score`` (its id first) the numbers of its finding by name."""
    asked = (
        "SELECT s.id, a.attribute, a.value FROM score s JOIN finding_attribute a"
        " ON a.finding_id = s.finding_id WHERE s.id"
    )
    while some := list(islice(rows, _PAGE)):
        found: dict[int, dict[str, float]] = defaultdict(dict)
        ids = sorted({row[0] for row in some})
        for score, name, value in select_in(conn, asked, (), ids, "bigint"):
            found[score][unescape(name)] = value
        for row in some:
            numbers = found.get(row[0], {})
            yield (*row, *(numbers.get(name) for name in names))
