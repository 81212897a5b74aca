"""A JSON document of results, read as a whole.

What must hold: its size is bounded before it is read, and what is wrong is told in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.files import LARGEST_JSON
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_document(path: Path, parse: Callable[[str], Any] = parse_json) -> Any:
    """Return the value a file holds; raise InputError where it holds none."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file")
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise InputError(f"{path}: is larger than {LARGEST_JSON >> 20} MiB")
        return parse(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise InputError(f"{path}: {error}") from None
