"""The weight files of a folder as the Hugging Face libraries lay them out.

A source is a folder, or a name on the hub whose snapshot lies in the local cache. Models and
judges both begin here; each adds what else it needs (a processor, a head).

What must hold: the files listed are the files transformers would load (``model.safetensors``
before an index, safetensors before pickles), all of them inside the folder, and whole; a
fault is told with the path that was tried; nothing is read that is larger than it can be.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import MissingDependencyError, NotFoundError
from lam3db.filehash import remembered_sha256
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAFE, _PICKLE = "model.safetensors", "pytorch_model.bin"
_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""
_MAX_JSON = 1 << 28


def is_path(source: str) -> bool:
    """Tell whether a source that is no folder here was meant as one."""
    return source.startswith(("/", ".", "~")) or source.count("/") != 1 or "\\" in source


def is_commit(revision: str) -> bool:
    """Tell whether a revision is the hash of a commit, and no branch or tag."""
    return _COMMIT.fullmatch(revision) is not None


def snapshot_folder(
    repository: str,
    revision: str | None,
    patterns: Sequence[str],
    *,
    local_files_only: bool = True,
) -> Path:
    """Return the folder of a hub repository in the local cache (or fetch it, if allowed).

    Raises:
        NotFoundError: it is not there, with the place that was tried.
        MissingDependencyError: the hub's client is not installed.

    """
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise MissingDependencyError(
            "models need the package's local extra: pip install 'lam3db[local]'"
        ) from None
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=list(patterns),
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError) as error:
        tried = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
        why = "local_files_only is on" if local_files_only else type(error).__name__
        at = f" at revision {revision}" if revision else ""
        raise NotFoundError(
            f"{repository}{at} is neither a folder here nor in the local Hugging Face cache "
            f"(tried {tried}; {why})"
        ) from error
    return Path(folder)


def known_commit(folder: Path) -> str | None:
    """Return the commit a folder is known to hold: a cache snapshot, or ``hf download``'s note."""
    if folder.parent.name == "snapshots" and is_commit(folder.name):
        return folder.name
    note = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    try:
        first = note.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return None
    return first if is_commit(first) else None


def fetching_cure(source: str, revision: str | None) -> str:
    """Return how a source that is not here is fetched elsewhere, as one sentence."""
    by_path = is_path(source)
    repository = "REPOSITORY" if by_path else source
    asked = f" --revision {revision}" if revision else ""
    where = source if by_path else "DIR"
    fetch = f"`hf download {repository}{asked} --local-dir {where}`"
    then = "copy the folder here" if by_path else "copy DIR here and write `source: DIR`"
    return f"Fetch it on a machine with internet, {fetch}, and {then}."


def weight_files(folder: Path, faults: list[str], *, allow_pickle: bool) -> tuple[str, ...]:
    """Return the weight files in the order of preference of transformers."""
    if (folder / "adapter_config.json").exists():
        faults.append("adapter_config.json: an adapter (PEFT) is not supported; merge it first")
    for name in (_SAFE, *([_PICKLE] if allow_pickle else [])):
        if (folder / name).is_file():
            return _checked(folder, (name,), faults)
        if (folder / f"{name}.index.json").is_file():
            return _sharded(folder, f"{name}.index.json", faults)
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles:
        faults.append(
            f"only pickled weights ({pickles[0]}), which can run code when opened: take a "
            "safetensors version, or set `allow_pickle: true` if you trust their source"
        )
    else:
        faults.append(f"{folder / _SAFE} is missing (nor is there {_SAFE}.index.json)")
    return ()


def _sharded(folder: Path, index: str, faults: list[str]) -> tuple[str, ...]:
    try:
        shards = sorted(set(read_object(folder / index)["weight_map"].values()))
        outside = [name for name in shards if name != Path(name).name]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        faults.append(f"{index} is no index of weights: {error}")
        return ()
    if outside:
        faults.append(f"{index} names {outside[0]!r}, which is no file of this folder")
        return ()
    missing = [name for name in shards if not (folder / name).is_file()]
    faults += [f"{folder / name} is missing (named by {index})" for name in missing]
    present = tuple(name for name in shards if name not in missing)
    return (index, *_checked(folder, present, faults))


def _checked(folder: Path, names: tuple[str, ...], faults: list[str]) -> tuple[str, ...]:
    safe = [folder / name for name in names if name.endswith(".safetensors")]
    faults += [f"{path} {fault}" for path in safe if (fault := _cut_short(path))]
    return names


def _cut_short(path: Path) -> str:
    """Compare a safetensors file's size with what its header promises; ``""`` if it is whole."""
    try:
        start, header = _read_header(path)
        ends = [value["data_offsets"][1] for value in header.values()]
        whole = start + max(ends, default=0)
    except ValueError as error:
        return str(error)
    except (KeyError, TypeError, IndexError):
        return "is no safetensors file (its header cannot be read)"
    size = path.stat().st_size
    return "" if whole == size else f"has {size} bytes where its header promises {whole}"


def tensor_names(path: Path) -> list[str]:
    """Return the names of the tensors in a safetensors file; none where it is not one."""
    try:
        return list(_read_header(path)[1])
    except ValueError:
        return []


def _read_header(path: Path) -> tuple[int, dict[str, Any]]:
    """Return where the tensors begin, and the header without its remarks; raise ValueError."""
    try:
        size, stream = path.stat().st_size, path.open("rb")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    with stream:
        start = stream.read(_LENGTH_BYTES)
        if start.startswith(b"version "):
            raise ValueError("is a Git LFS pointer, not the weights (run `git lfs pull`)")
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > min(size, _MAX_HEADER):
            raise ValueError(f"is no safetensors file ({size} bytes)")
        try:
            header = json.loads(stream.read(length), parse_int=whole_number)
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise ValueError("is no safetensors file (its header cannot be read)")  # noqa: TRY004 - a file's fault
    return _LENGTH_BYTES + length, {name: header[name] for name in header if name[:2] != "__"}


def read_object(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        ValueError: it cannot be read, is no JSON object, or is too large to be one of ours.

    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} cannot be read as JSON: it is no regular file")
        if path.stat().st_size > _MAX_JSON:
            raise ValueError(f"{path} cannot be read as JSON: it has more than {_MAX_JSON} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    try:
        value = json.loads(text, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} is no JSON object")  # noqa: TRY004 - a file's fault, not a caller's
    return value


def told_sha256(path: Path, tick: Callable[[str, int, int], None], name: str = "") -> str:
    """Return a file's SHA-256, telling ``tick`` its name, the bytes done and the bytes in all.

    Raises:
        OSError: it cannot be read, or was changed while it was.

    """
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        tick(name or path.name, done, total)

    total = path.stat().st_size
    return remembered_sha256(path, advance)
