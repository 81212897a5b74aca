"""A published benchmark to a dataset, whole or not at all.

What must hold: what :mod:`lam3db.datasets.load` promises; and a sample whose image is not
there is an error, or, if the user said so, left out and told, in the dataset's source too: no
sample is posed without the image it was published with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.columns import ALIASES, Columns
from lam3db.datasets.faults import Faults
from lam3db.datasets.images import ImageFolder
from lam3db.datasets.lines import Row
from lam3db.datasets.load import Loaded, Options, dataset_name, no_tick, samples_of
from lam3db.datasets.published import published_format
from lam3db.datasets.published.find import find_place
from lam3db.datasets.samples import SampleReader
from lam3db.errors import ConfigError, InputError
from lam3db.records import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lam3db.datasets.published.find import Place
    from lam3db.datasets.published.shape import Posed, PublishedFormat

    Tick = Callable[[str, int, int], None]

_OURS = Columns({field: field for field in ALIASES}, ())


def load_published(path: Path, options: Options, tick: Tick | None = None) -> Loaded:
    """Read the benchmark ``options.layout`` and look at each of its images.

    ``tick(what, done, total)`` tells how far.

    Raises:
        InputError: everything that is wrong with its files.
        ConfigError: an option is wrong.

    """
    layout = published_format(options.layout or "")
    if options.mapping:
        raise ConfigError("--map is for files of one's own: a published format knows its columns")
    place = find_place(path, layout)
    name = dataset_name(path, options.name if options.name is not None else place.name)
    root = options.images if options.images is not None else place.root
    if not root.is_dir():
        raise InputError(f"--images {root}: no such folder")
    faults = Faults(path)
    images = ImageFolder(root, options.limits)
    posed = list(layout.pose(place.files, faults))
    rows, absent = _with_images(posed, images)
    left_out = _left_out(absent, len(posed), layout, root.resolve(), images)
    if absent and not options.skips_missing:
        faults.add(None, None, left_out + _cure(len(posed) - len(absent)))
    samples = samples_of(rows, SampleReader(_OURS, images, faults, is_table=False), tick or no_tick)
    faults.raise_if_any()
    if not samples:
        raise InputError(f"{path}: {left_out or 'there is no sample in it'}")
    return Loaded(
        Dataset(
            name,
            tuple(samples),
            tuple(images.media.values()),
            options.source or _source(layout, place, len(absent), len(posed)),
            options.licence or layout.licence,
        ),
        images.files,
        (*((f"{left_out}: left out",) if absent else ()), *faults.remarks.lines()),
    )


def _with_images(posed: Sequence[Posed], images: ImageFolder) -> tuple[list[Row], list[Posed]]:
    """Return rows of our own for the samples whose images are there, and the other samples."""
    rows = []
    absent = []
    for sample in posed:
        image = None
        if sample.picture is not None:
            names = sample.picture.candidates()
            image = next((name for name in names if not images.lacks(name)), None)
            if image is None:
                absent.append(sample)
                continue
        rows.append(Row(sample.line, sample.values(image), sample.place))
    return rows, absent


def _left_out(
    absent: Sequence[Posed], total: int, layout: PublishedFormat, root: Path, images: ImageFolder
) -> str:
    if not absent or absent[0].picture is None:
        return ""
    picture = absent[0].picture
    hints = (images.hint(name) for name in picture.candidates())
    hint = next(filter(None, hints), "")
    what = f"{len(absent)} of {total} samples have images that are not there, the first"
    return f"{what} {root / picture.belongs} (published as {layout.images}){hint}"


def _cure(left: int) -> str:
    other = "--images DIR names the folder they lie in"
    if not left:
        return f"; {other}"
    return f"; {other}, --missing-images skip takes the other {left}"


def _source(layout: PublishedFormat, place: Place, absent: int, total: int) -> str:
    files = place.files[0].name if len(place.files) == 1 else f"{len(place.files)} files"
    left_out = f"; without {absent} of {total} samples whose images were not there"
    return f"{layout.source}, {files}{left_out if absent else ''}"
