"""Images from outside: looked at under limits, and decoded one way.

**What is taken.** The type is read from the content, never from the name: PNG, JPEG, WebP,
BMP and GIF with one frame. Everything else is refused by name (TIFF, AVIF, HEIC, SVG, PDF, a
web page, a Git LFS pointer ...), so are animations, files over the byte, pixel and aspect
limits (read from the header, before a pixel is decoded), JPEGs with endless scans, and
whatever does not decode to its end. PNG checksums are verified. JPEG, WebP and BMP carry no
checksum: a damaged one that still decodes cannot be told from an intact one.

**What is sent to a model**, under the name :data:`DECODER` (change one, change the other):

* 8-bit RGB, without metadata, colour profile or gamma: values are taken as sRGB as they are;
* turned as the EXIF orientation says (EXIF only, not XMP; an unreadable block turns nothing);
* transparency (alpha, palette or colour key) laid over white;
* palette, grey and 1-bit spread to RGB; 16 bits per channel cut to the high byte;
* CMYK as Adobe writes it (inverted) by Pillow's plain formula, no profile;
* of a JPEG with appended pictures (MPO, gain maps) the first; bytes after the end ignored.

A colour-key transparency in a PNG of other than 8 bits is refused: Pillow reads it wrongly.

What must hold: nothing from a file is executed, and no file is opened by guessing among
Pillow's many formats.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import MediaError
from lam3db.records import Media

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

DECODER = "pil/1"
MIB = 1 << 20
_SCANS = 100
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken: bytes of a file, pixels of a picture, long side over short side."""

    max_bytes: int = 64 * MIB
    max_pixels: int = 64 * MIB
    max_aspect: int = 100


LIMITS = Limits()


def read_file(path: Path, limits: Limits = LIMITS) -> bytes:
    """Return an image file's bytes; raise MediaError if it is no regular file or too large."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise MediaError("a folder or a device, not a file")
        if found.st_size > limits.max_bytes:
            raise MediaError(_too_large(found.st_size, limits))
        with path.open("rb") as stream:
            data = stream.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise MediaError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise MediaError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return data


def bytes_of(source: Path | bytes, limits: Limits = LIMITS) -> bytes:
    """Return an image's bytes, from its file or as they are; raise MediaError."""
    return source if isinstance(source, bytes) else read_file(source, limits)


def named(source: Path | bytes) -> str:
    """Return what an error calls an image: its path, or that it has none."""
    return "an image of a data: URL" if isinstance(source, bytes) else str(source)


def inspect_image(source: bytes | Path, limits: Limits = LIMITS) -> Media:
    """Decode an image to its end and return what it is; width and height are as sent, turned.

    Raises:
        MediaError: the reason it cannot be used, without the file's name.

    """
    data = bytes_of(source, limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata that we do not use
        mime_type = sniff(data)
        picture = decode(data, limits)
        if mime_type == "image/png":
            _verify_png(data)
    return Media(hashlib.sha256(data).hexdigest(), mime_type, len(data), *picture.size)


def sniff(data: bytes) -> str:
    """Return the MIME type by content; raise MediaError for whatever is not taken."""
    if not data:
        raise MediaError("an empty file")
    for magic, mime_type in _TAKEN:
        if data.startswith(magic):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise MediaError(f"{_name_of(data)}; PNG, JPEG, WebP, BMP and one-frame GIF are taken")


_TAKEN = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_REFUSED = (
    (b"II", "a TIFF (save it as PNG)"),
    (b"MM\x00", "a TIFF (save it as PNG)"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL", "a JPEG XL"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000"),
    (b"version https://git-lfs", "a Git LFS pointer, not the image (run `git lfs pull`)"),
)


def _name_of(data: bytes) -> str:
    for magic, name in _REFUSED:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return f"a file of the AVIF/HEIC/video family ({data[8:12]!r})"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<"):
        return "an SVG" if b"<svg" in data[:4096].lower() else "a web page or XML, not an image"
    return f"no image that we know (it begins with {data[:8]!r})"


def decode(data: bytes, limits: Limits = LIMITS) -> Image:
    """Return the picture as a model is sent it (see the module's text); RGB, 8 bits.

    Raises:
        MediaError: too large, animated, damaged, or of a kind that is refused.

    """
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    if len(data) > limits.max_bytes:
        raise MediaError(_too_large(len(data), limits))
    mime_type = sniff(data)
    if mime_type == "image/jpeg" and data.count(b"\xff\xda") > _SCANS:
        raise MediaError(f"a JPEG of more than {_SCANS} scans, made to keep a decoder busy")
    try:
        with _plugin(mime_type)(io.BytesIO(data)) as picture:
            _check_header(picture, limits)
            picture.load()
            _check_depth(data, mime_type, picture)
            return _turned(_rgb(picture), picture.info.get("exif"))
    except _BROKEN as error:
        raise MediaError(f"a damaged {mime_type}: {error}") from error
    except (DecompressionBombError, DecompressionBombWarning):
        raise MediaError(f"more pixels than {limits.max_pixels}") from None


_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow's format readers raise on damaged input, found by fuzzing them."""


def _plugin(mime_type: str) -> type[ImageFile]:
    """Return Pillow's reader of one format: asked for by class, not guessed by Image.open."""
    from PIL import (
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        WebPImagePlugin,
    )

    readers: dict[str, type[ImageFile]] = {
        "image/png": PngImagePlugin.PngImageFile,
        "image/jpeg": JpegImagePlugin.JpegImageFile,
        "image/webp": WebPImagePlugin.WebPImageFile,
        "image/bmp": BmpImagePlugin.BmpImageFile,
        "image/gif": GifImagePlugin.GifImageFile,
    }
    return readers[mime_type]


def _check_header(picture: ImageFile, limits: Limits) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise MediaError(f"a picture of {width} x {height} pixels")
    if width * height > limits.max_pixels:
        raise MediaError(f"{width} x {height} pixels, more than {limits.max_pixels}")
    if max(width, height) > limits.max_aspect * min(width, height):
        raise MediaError(f"{width} x {height} pixels: longer than {limits.max_aspect} to 1")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        kind = picture.format or "image"
        message = f"an animated {kind} of {frames} frames: save the frame you mean as PNG"
        raise MediaError(message)


def _check_depth(data: bytes, mime_type: str, picture: ImageFile) -> None:
    """Refuse the PNGs whose colour key Pillow compares at the wrong depth."""
    if mime_type != "image/png" or "transparency" not in picture.info:
        return
    depth, colour_type = data[24], data[25]
    if colour_type in {0, 2} and depth != 8:  # noqa: PLR2004 - grey or RGB, bits per channel
        raise MediaError(f"a PNG of {depth} bits with a transparent colour: save it with alpha")


def _verify_png(data: bytes) -> None:
    try:
        _plugin("image/png")(io.BytesIO(data)).verify()
    except _BROKEN as error:
        raise MediaError(f"a damaged PNG: {error}") from error


def _rgb(picture: Image) -> Image:
    from PIL.Image import frombytes, new

    if picture.mode == "I;16":
        return frombytes("L", picture.size, picture.tobytes()[1::2]).convert("RGB")
    if picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info:
        white = new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        return white.convert("RGB")
    if picture.mode in {"RGB", "L", "P", "1", "CMYK", "YCbCr"}:
        plain = picture.convert("RGB")
        plain.info.clear()
        return plain
    raise MediaError(f"pixels of the kind {picture.mode!r}: save it as an 8-bit PNG")


def _turned(picture: Image, exif: object) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(exif))
    return picture if turn is None else picture.transpose(turn)


def _orientation(exif: object) -> int:
    """Return the orientation an EXIF block asks for, 1 (as it is) where it cannot be read."""
    from PIL.Image import Exif

    if not isinstance(exif, bytes):
        return 1
    block = Exif()
    try:
        block.load(exif)
        value = block.get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _too_large(size: int, limits: Limits) -> str:
    return f"{size / MIB:.1f} MiB, more than {limits.max_bytes / MIB:.0f} MiB"
