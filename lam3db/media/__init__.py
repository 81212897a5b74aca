"""Images by SHA-256: looked at under limits, kept under their digest, opened one way."""

from lam3db.media.looking import (
    DECODER,
    LIMITS,
    MIB,
    Limits,
    bytes_of,
    decode,
    inspect_image,
    named,
    read_file,
    sniff,
)
from lam3db.media.root import SUFFIXES, MediaRoot, StoredFile

__all__ = [
    "DECODER", "LIMITS", "MIB", "SUFFIXES", "Limits", "MediaRoot", "StoredFile", "bytes_of",
    "decode", "inspect_image", "named", "read_file", "sniff",
]  # fmt: skip
