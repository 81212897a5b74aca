"""A small part of ``tests/benchmarks/fuzz_imports.py``: no traceback, nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import fuzz_imports

from lam3db.store.engine import open_store

INPUTS = 8


@pytest.mark.parametrize("part", range(4))
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_every_reader_reads_or_refuses(tmp_path: Path, part: int) -> None:
    with open_store(f"sqlite:///{tmp_path}/fuzz.db", mode="write") as store:
        readers = fuzz_imports.readers(store)
        assert len(readers) > 30
        for name, reader in list(readers.items())[part::4]:
            for seed in range(INPUTS):
                result = fuzz_imports.attempt(name, reader, seed, store)
                assert result in ("taken", "refused", "unwritable"), f"{name} {seed}: {result}"


def test_a_right_file_is_taken_by_every_reader_of_results(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/fuzz.db", mode="write") as store:
        for name, (file, document, read) in fuzz_imports.readers(store).items():
            path = tmp_path / file
            if name.startswith(("map", "jailbreak")):
                fuzz_imports.write(path, document, _Calm())
                read(path)


class _Calm(fuzz_imports.random.Random):
    """Chance that never strikes."""

    def random(self) -> float:
        """Return what is above every share."""
        return 1.0
