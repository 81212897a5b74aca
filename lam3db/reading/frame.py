r"""A table that is read when it is asked for: rows, Arrow, pandas, polars.

What must hold: a column has one type, whatever its rows hold, and a missing value is null in
it, never a number or an empty text; rows come in batches, so a table need not fit in memory
unless it is asked for whole; no data-frame library is needed but for the method named
after it. Arrow has no lone surrogates: in its texts they stand as ``\udXXX``;
:meth:`Frame.to_dicts` has every text exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

from lam3db.errors import MissingDependencyError
from lam3db.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import pandas as pd
    import polars as pl
    import pyarrow as pa

Kind = Literal["integer", "number", "flag", "text", "word", "time"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name and what it holds; every column may hold nulls.

    ``word`` is a text out of few (a dictionary in Arrow, a category in pandas and polars),
    ``time`` an instant in UTC with microseconds.
    """

    name: str
    kind: Kind


class Frame:
    """Columns, and rows that are read from the database each time they are asked for.

    It can be handed to whatever takes Arrow (``polars.DataFrame(frame)``,
    ``pyarrow.table(frame)``, DuckDB, narwhals) through ``__arrow_c_stream__``.
    """

    def __init__(
        self, columns: tuple[Column, ...], rows: Callable[[], Iterator[tuple[Any, ...]]]
    ) -> None:
        """``rows`` begins a reading: tuples of values in the order of ``columns``."""
        self.columns = columns
        self._rows = rows

    def __repr__(self) -> str:
        """Return its columns."""
        return f"Frame({', '.join(f'{one.name}: {one.kind}' for one in self.columns)})"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield rows as dicts, as they are read."""
        names = [column.name for column in self.columns]
        readers = [_VALUES[column.kind] for column in self.columns]
        for row in self._rows():
            yield {
                name: None if value is None else read(value)
                for name, read, value in zip(names, readers, row, strict=True)
            }

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return all rows as dicts; texts exact, times aware, missing values None."""
        return list(self)

    def schema(self) -> pa.Schema:
        """Return the types as an Arrow schema; raise MissingDependencyError."""
        arrow = _need("pyarrow", "pip install 'lam3db[arrow]'")
        return arrow.schema([(one.name, _arrow_type(arrow, one.kind)) for one in self.columns])

    def batches(self, size: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield Arrow batches of up to ``size`` rows, as they are read.

        Raises:
            MissingDependencyError: pyarrow is not installed.

        """
        arrow, schema = _need("pyarrow", "pip install 'lam3db[arrow]'"), self.schema()
        names = [column.name for column in self.columns]
        rows = iter(self)
        while some := list(islice(rows, size)):
            arrays = [
                _array(arrow, column.kind, [row[name] for row in some])
                for name, column in zip(names, self.columns, strict=True)
            ]
            yield arrow.record_batch(arrays, schema=schema)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a stream of Arrow's C interface, which reads as it is read."""
        arrow = _need("pyarrow", "pip install 'lam3db[arrow]'")
        reader = arrow.RecordBatchReader.from_batches(self.schema(), self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return the whole table; raise MissingDependencyError without pyarrow."""
        arrow = _need("pyarrow", "pip install 'lam3db[arrow]'")
        return arrow.Table.from_batches(self.batches(), schema=self.schema()).unify_dictionaries()

    def to_pandas(self) -> pd.DataFrame:
        """Return the whole table with pandas' nullable types, words as categories.

        Raises:
            MissingDependencyError: pandas or pyarrow is not installed.

        """
        pandas = _need("pandas", "pip install pandas")
        nullable = {
            "int64": pandas.Int64Dtype(),
            "double": pandas.Float64Dtype(),
            "bool": pandas.BooleanDtype(),
            "string": pandas.StringDtype(),
        }
        return self.to_arrow().to_pandas(types_mapper=lambda kind: nullable.get(str(kind)))

    def to_polars(self) -> pl.DataFrame:
        """Return the whole table, words as categories.

        Raises:
            MissingDependencyError: polars or pyarrow is not installed.

        """
        polars = _need("polars", "pip install polars")
        return polars.from_arrow(self.to_arrow())


_VALUES: dict[Kind, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "flag": bool,
    "text": str,
    "word": str,
    "time": lambda value: value if isinstance(value, datetime) else _instant(value),
}


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _arrow_type(arrow: ModuleType, kind: Kind) -> pa.DataType:
    return {
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "flag": arrow.bool_(),
        "text": arrow.string(),
        "word": arrow.dictionary(arrow.int32(), arrow.string()),
        "time": arrow.timestamp("us", tz="UTC"),
    }[kind]


def _array(arrow: ModuleType, kind: Kind, values: list[Any]) -> pa.Array:
    if kind not in ("text", "word"):
        return arrow.array(values, _arrow_type(arrow, kind))
    texts = arrow.array([None if x is None else escaped(x) for x in values], arrow.string())
    return texts.dictionary_encode() if kind == "word" else texts


def _need(name: str, install: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"this needs {name}, which is not installed: {install}"
        ) from error
