"""The epochs of an Inspect log that was cut short: which attempts were meant and not made.

What must hold: an attempt that the run has not reached is counted as not made, where the log tells
of its sample; a sample that the log does not tell of is named by its number only.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeGuard

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.cells import text_of_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.results.inspect_file import Log

MOST_EPOCHS = 1_000_000
_MOST_UNMADE = 1_000_000


def is_epoch(value: Any) -> TypeGuard[int]:
    """Tell whether a value is the number of an epoch."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_EPOCHS


def unmade_epochs(log: Log, faults: Faults) -> dict[str, list[int]]:
    """Return the epochs that each sample of a log lacks, by the sample's id."""
    made: dict[str, set[int]] = defaultdict(set)
    for _, sample in log.samples(Faults(faults.path)):
        key, epoch = text_of_value(sample.get("id")), sample.get("epoch", 1)
        if key and is_epoch(epoch):
            made[key].add(epoch)
    told = log.header["eval"]
    _note_absent(told, len(made), faults)
    wanted = max([_epochs(told), *(max(epochs) for epochs in made.values())], default=1)
    count = sum(wanted - len(epochs) for epochs in made.values())
    if not 0 < count <= _MOST_UNMADE:
        return {}
    faults.remarks.note("epochs that the run has not reached: attempts that were not made", count)
    return {
        key: [epoch for epoch in range(1, wanted + 1) if epoch not in epochs]
        for key, epochs in made.items()
    }


def _epochs(told: Mapping[str, Any]) -> int:
    config = told.get("config")
    epochs = config.get("epochs") if isinstance(config, dict) else None
    return epochs if is_epoch(epochs) else 1


def _note_absent(told: Mapping[str, Any], count: int, faults: Faults) -> None:
    """Tell how many samples of the dataset the log knows nothing of."""
    dataset, config = told.get("dataset"), told.get("config")
    samples = dataset.get("samples") if isinstance(dataset, dict) else None
    limit = config.get("limit") if isinstance(config, dict) else None
    if isinstance(samples, int) and limit is None and samples > count:
        what = "samples of the dataset that the run has not reached and the log does not hold"
        faults.remarks.note(what, samples - count)
