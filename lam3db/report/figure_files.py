"""Charts to SVG and PNG: offline, the same bytes for the same numbers.

What must hold: an SVG is drawing and nothing else (no script, no link, no style sheet, no
picture from elsewhere), whatever the labels said; its ids are its own, so that several can
stand in one page; a PNG whose labels no font of this machine can write is told of.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError
from lam3db.report.chart_parts import FONT, library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

SUFFIXES = (".svg", ".png")
_SCALE = 2
_ID = re.compile(r'(?<= id=")(?:clip|gradient_)\w*|(?<=url\(#)(?:clip|gradient_)\w*')
_TAGS = frozenset(
    (
        *("svg", "g", "path", "rect", "line", "text", "tspan", "title", "circle"),
        *("defs", "clipPath", "linearGradient", "stop"),
    )
)
_HREF = re.compile(r"url\((?!#)|javascript:|data:", re.IGNORECASE)
_LATIN = 0x250
_MOST_TRIED = 200


def svg(chart: Any, prefix: str = "f") -> str:
    """Return the chart as SVG; ``prefix`` begins every id in it.

    Raises:
        MissingDependencyError: the extra ``figures`` is not installed.

    """
    library()
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(chart.to_dict())
    names: dict[str, str] = {}
    drawn = _ID.sub(lambda m: names.setdefault(m[0], f"{prefix}-{len(names)}"), drawn)
    _check(drawn)
    return drawn


def png(chart: Any, scale: float = _SCALE) -> bytes:
    """Return the chart as PNG, ``scale`` pixels to one of the SVG; raises as :func:`svg`."""
    library()
    import vl_convert

    drawn: bytes = vl_convert.svg_to_png(svg(chart), scale=scale)
    return drawn


def file_bytes(chart: Any, name: str) -> bytes:
    """Return what a file of this name holds; raise ConfigError for another ending."""
    check_name(name)
    if name.lower().endswith(".svg"):
        return (svg(chart) + "\n").encode()
    return png(chart)


def check_name(name: str) -> None:
    """Raise ConfigError for a file that is neither SVG nor PNG by its name."""
    if not name.lower().endswith(SUFFIXES):
        raise ConfigError(f"-o {name}: a figure is written as {' or '.join(SUFFIXES)}")


def unwritable(drawn: str) -> str:
    """Return the characters in an SVG that no font of this machine has.

    They are boxes or nothing in a PNG; a viewer of the SVG may well have them. Only letters
    beyond Latin are tried, at most 200 of them.
    """
    library()
    import vl_convert

    used = {c for one in _texts(drawn) for c in one if ord(c) >= _LATIN and _is_letter(c)}
    missing = vl_convert.svg_to_png(_one("\U0010fffd"))
    tried = sorted(used)[:_MOST_TRIED]
    return "".join(c for c in tried if vl_convert.svg_to_png(_one(c)) == missing)


def _texts(drawn: str) -> Iterator[str]:
    for element in _parsed(drawn).iter():
        yield element.text or ""


def _parsed(drawn: str) -> Element:
    from defusedxml.ElementTree import fromstring

    root: Element = fromstring(drawn)
    return root


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNS"


def _one(character: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">'
        f'<text x="2" y="20" font-size="18" font-family="{FONT}">{character}</text></svg>'
    )


def _check(drawn: str) -> None:
    """Refuse what is not plain drawing: a guard in case the library changes."""
    for element in _parsed(drawn).iter():
        tag = element.tag.rpartition("}")[2]
        wrong = tag not in _TAGS or any(_is_harmful(*pair) for pair in element.attrib.items())
        if wrong:
            raise ConfigError(f"the figure's SVG holds {tag} {element.attrib}: not written")


def _is_harmful(name: str, value: str) -> bool:
    name = name.rpartition("}")[2].lower()
    spoken = name.startswith("aria-")  # words for a screen reader: shown, never followed
    return name.startswith("on") or name == "href" or (not spoken and bool(_HREF.search(value)))
