"""lam3db: a database of safety evaluations of multimodal models.

Every link of the chain (model version, config, sample, generation, judge, score) is a row
that never changes, under a key made from its content. See ``README.md`` for use.

::

    import lam3db

    with lam3db.open("lam3.db") as db:
        scores = db.scores(["refusal-gcg"]).to_pandas()   # or .to_polars(), .to_arrow()
        numbers = db.metrics(by=["model", "attack"]).to_dicts()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from lam3db.reading import Database

__version__ = "0.1.0"


def open(url: str | PathLike[str] | None = None) -> Database:  # noqa: A001 - lam3db.open, as gzip.open
    """Open a database to read it: a SQLite file, an SQLAlchemy URL, or None for the default.

    The default is ``LAM3DB_URL``, else ``lam3.db`` in the working folder. Nothing can be
    written through it, and nothing is created or upgraded.

    Raises:
        lam3db.errors.StoreError: there is no such database, or it is of another version.

    """
    from lam3db.reading import open_database

    return open_database(None if url is None else str(url))
