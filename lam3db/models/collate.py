"""Several prepared requests as one batch.

Text is padded on the left: a model goes on from the last column, and only then does a row
give the answer it would give alone. What must hold: the batch holds exactly the rows'
values; padding is marked as such in ``attention_mask`` (and, for images padded to the
largest, in ``pixel_attention_mask``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.models.prompt import Prepared

_PER_TOKEN = ("token_type_ids", "mm_token_type_ids")


def groups(prepared: Sequence[Prepared], pixels: str) -> list[list[int]]:
    """Split a batch into parts that can be put together, as lists of positions.

    Families with ``pixels`` ``pad`` and ``stack`` that are known to the table mix freely; of
    others (``alike``) only rows with the same kinds and sizes of tensors go together.
    """
    if pixels != "alike":
        return [list(range(len(prepared)))]
    found: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(prepared):
        shapes = sorted(
            (name, tuple(value.shape[1:]), len(value) if name not in _PER_TOKEN else 0)
            for name, value in one.tensors.items()
            if name not in _PER_TOKEN
        )
        found.setdefault(tuple(shapes), []).append(place)
    return list(found.values())


def collate(prepared: Sequence[Prepared], pixels: str, pad_id: int) -> dict[str, torch.Tensor]:
    """Return the model's inputs for one batch, on the CPU; rows in the order given."""
    longest = max(len(one.ids) for one in prepared)
    ids = torch.full((len(prepared), longest), pad_id)
    mask = torch.zeros((len(prepared), longest), dtype=torch.long)
    for row, one in enumerate(prepared):
        ids[row, longest - len(one.ids) :] = torch.tensor(one.ids)
        mask[row, longest - len(one.ids) :] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    for name in sorted({name for one in prepared for name in one.tensors}):
        values = [one.tensors.get(name) for one in prepared]
        if name in _PER_TOKEN:
            batch[name] = torch.cat([_left_padded(value, longest) for value in values])
        elif pixels == "pad":
            batch[name] = _padded(values)
        else:
            batch[name] = torch.cat([value for value in values if value is not None])
    return batch


def _left_padded(value: torch.Tensor | None, length: int) -> torch.Tensor:
    if value is None:
        return torch.zeros((1, length), dtype=torch.long)
    return functional.pad(value, (length - value.shape[-1], 0))


def _padded(values: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Put rows (1, images, ...) together, zeros after the end of each dimension.

    IDEFICS2 tells a missing image by its zeros, and the edge of a smaller one by the mask,
    which is padded the same way.
    """
    present = [value for value in values if value is not None]
    largest = [max(value.shape[axis] for value in present) for axis in range(1, present[0].dim())]
    batch = present[0].new_zeros((len(values), *largest))
    for row, value in enumerate(values):
        if value is not None:
            batch[(row, *(slice(0, size) for size in value.shape[1:]))] = value[0]
    return batch
