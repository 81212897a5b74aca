"""The drawings of the demo world: one thing, or one sign with words, on a plain ground.

Why: the mini benchmark and the pictures on which the demo models are trained must come
from one pen, or the models would be asked about pictures of a kind they never saw.
Invariant: the same `Scene` gives the same pixels for the same Pillow; no system font, no
random number and no clock is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "red": (214, 40, 40),
    "orange": (244, 132, 22),
    "yellow": (248, 208, 40),
    "pink": (244, 130, 184),
    "green": (44, 152, 70),
    "blue": (40, 92, 206),
    "purple": (128, 58, 168),
    "brown": (130, 82, 44),
}
"""Names of the colours a thing or a sign may have; the first four are the warm ones."""

WARM = frozenset({"red", "orange", "yellow", "pink"})

GROUNDS: dict[str, Rgb] = {"white": (255, 255, 255), "gray": (176, 178, 182), "black": (22, 22, 26)}
"""Names of the plain backgrounds."""

LIGHT: Rgb = (250, 250, 250)
DARK: Rgb = (20, 20, 20)


@dataclass(frozen=True)
class Scene:
    """What a picture shows; everything that `draw_scene` looks at.

    `thing` is empty for a sign; `sign` is empty for a thing. `scale` is the share of the
    shorter side that is used; `shift` moves the middle, in shares of the sides.
    """

    size: tuple[int, int]
    ground: str
    color: str
    thing: str = ""
    word: str = ""
    sign: tuple[str, ...] = ()
    scale: float = 0.8
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def is_warm(self) -> bool:
        """Whether the main colour is one of the warm ones."""
        return self.color in WARM

    @property
    def is_small(self) -> bool:
        """Whether the thing is drawn small enough to be called so."""
        return self.scale < 0.6


@dataclass(frozen=True)
class Pen:
    """Draws in unit coordinates (0..1 from the top left) inside one square of the picture."""

    paper: ImageDraw.ImageDraw
    left: float
    top: float
    side: float
    ink: Rgb
    color: Rgb

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Unit coordinates -> pixels."""
        return (self.left + x * self.side, self.top + y * self.side)

    @property
    def stroke(self) -> int:
        """Width of an outline in pixels."""
        return max(1, round(self.side / 36))

    def oval(self, box: tuple[float, float, float, float], fill: Rgb | None = None) -> None:
        """An ellipse in a box (x0, y0, x1, y1)."""
        corners = [self.at(*box[:2]), self.at(*box[2:])]
        self.paper.ellipse(corners, fill=fill or self.color, outline=self.ink, width=self.stroke)

    def box(self, box: tuple[float, float, float, float], fill: Rgb | None = None) -> None:
        """A rectangle (x0, y0, x1, y1)."""
        corners = [self.at(*box[:2]), self.at(*box[2:])]
        self.paper.rectangle(corners, fill=fill or self.color, outline=self.ink, width=self.stroke)

    def poly(self, *points: tuple[float, float], fill: Rgb | None = None) -> None:
        """A filled polygon."""
        pixels = [self.at(x, y) for x, y in points]
        self.paper.polygon(pixels, fill=fill or self.color, outline=self.ink, width=self.stroke)

    def line(self, *points: tuple[float, float], width: int = 1) -> None:
        """A line in the ink's colour, `width` strokes thick."""
        pixels = [self.at(x, y) for x, y in points]
        self.paper.line(pixels, fill=self.ink, width=self.stroke * width)


def _cactus(pen: Pen) -> None:
    pen.box((0.08, 0.32, 0.22, 0.6))
    pen.box((0.08, 0.5, 0.44, 0.62))
    pen.box((0.78, 0.2, 0.92, 0.5))
    pen.box((0.56, 0.4, 0.92, 0.52))
    pen.box((0.38, 0.02, 0.62, 0.8))
    pen.poly((0.22, 0.78), (0.78, 0.78), (0.7, 1.0), (0.3, 1.0), fill=(168, 108, 76))


def _robot(pen: Pen) -> None:
    pen.line((0.5, 0.02), (0.5, 0.14), width=2)
    pen.box((0.26, 0.12, 0.74, 0.46))
    pen.oval((0.34, 0.2, 0.46, 0.32), fill=LIGHT)
    pen.oval((0.54, 0.2, 0.66, 0.32), fill=LIGHT)
    pen.line((0.36, 0.4), (0.64, 0.4), width=2)
    pen.box((0.18, 0.5, 0.82, 0.84))
    pen.box((0.26, 0.84, 0.4, 1.0))
    pen.box((0.6, 0.84, 0.74, 1.0))


def _snowman(pen: Pen) -> None:
    pen.oval((0.16, 0.5, 0.84, 1.0))
    pen.oval((0.26, 0.24, 0.74, 0.6))
    pen.oval((0.34, 0.02, 0.66, 0.3))
    pen.poly((0.5, 0.14), (0.8, 0.18), (0.5, 0.2), fill=(250, 150, 40))


def _teapot(pen: Pen) -> None:
    pen.line((0.78, 0.44), (0.98, 0.44), (0.98, 0.76), (0.76, 0.78), width=3)
    pen.poly((0.24, 0.6), (0.0, 0.36), (0.1, 0.34), (0.32, 0.46))
    pen.oval((0.18, 0.3, 0.82, 0.94))
    pen.oval((0.42, 0.16, 0.58, 0.32))


def _biscuit(pen: Pen) -> None:
    pen.oval((0.06, 0.06, 0.94, 0.94))
    for x, y in ((0.3, 0.3), (0.62, 0.26), (0.46, 0.5), (0.24, 0.62), (0.7, 0.6), (0.48, 0.76)):
        pen.oval((x, y, x + 0.11, y + 0.11), fill=(60, 34, 20))


def _balloon(pen: Pen) -> None:
    pen.line((0.5, 0.66), (0.44, 0.8), (0.56, 0.9), (0.5, 1.0), width=2)
    pen.oval((0.22, 0.0, 0.78, 0.62))
    pen.poly((0.5, 0.6), (0.42, 0.7), (0.58, 0.7))


def _moon(pen: Pen) -> None:
    points = [(0.7, 0.04), (0.4, 0.06), (0.16, 0.24), (0.06, 0.5), (0.16, 0.76), (0.4, 0.94)]
    inner = [(0.7, 0.96), (0.52, 0.8), (0.42, 0.62), (0.42, 0.38), (0.52, 0.2)]
    pen.poly(*points, *inner)


def _snail(pen: Pen) -> None:
    pen.poly((0.0, 0.9), (0.84, 0.9), (0.98, 0.56), (0.84, 0.5), (0.7, 0.76), (0.1, 0.78))
    pen.line((0.9, 0.54), (0.98, 0.36), width=2)
    pen.line((0.86, 0.54), (0.84, 0.36), width=2)
    pen.oval((0.14, 0.26, 0.7, 0.82))
    pen.oval((0.28, 0.4, 0.56, 0.68), fill=LIGHT)


def _hat(pen: Pen) -> None:
    pen.oval((0.02, 0.7, 0.98, 0.94))
    pen.box((0.24, 0.14, 0.76, 0.82))
    pen.box((0.24, 0.6, 0.76, 0.72), fill=DARK)


def _fish(pen: Pen) -> None:
    pen.poly((0.66, 0.5), (0.98, 0.2), (0.98, 0.8))
    pen.oval((0.02, 0.24, 0.74, 0.76))
    pen.oval((0.14, 0.38, 0.26, 0.5), fill=LIGHT)


def _star(pen: Pen) -> None:
    outer = [(0.5, 0.0), (1.0, 0.38), (0.81, 0.98), (0.19, 0.98), (0.0, 0.38)]
    inner = [(0.64, 0.34), (0.73, 0.6), (0.5, 0.76), (0.27, 0.6), (0.36, 0.34)]
    pen.poly(*[point for pair in zip(outer, inner, strict=True) for point in pair])


def _house(pen: Pen) -> None:
    pen.box((0.14, 0.44, 0.86, 1.0))
    pen.poly((0.02, 0.46), (0.5, 0.04), (0.98, 0.46))
    pen.box((0.42, 0.68, 0.6, 1.0), fill=DARK)
    pen.box((0.2, 0.54, 0.36, 0.7), fill=LIGHT)


def _tree(pen: Pen) -> None:
    pen.box((0.42, 0.6, 0.58, 1.0), fill=(112, 70, 40))
    for top in (0.0, 0.2, 0.4):
        pen.poly((0.5, top), (0.16, top + 0.34), (0.84, top + 0.34))


def _cup(pen: Pen) -> None:
    pen.line((0.72, 0.36), (0.96, 0.36), (0.96, 0.66), (0.68, 0.7), width=3)
    pen.poly((0.1, 0.2), (0.78, 0.2), (0.68, 0.92), (0.2, 0.92))
    pen.oval((0.1, 0.12, 0.78, 0.3), fill=LIGHT)


def _boat(pen: Pen) -> None:
    pen.line((0.5, 0.04), (0.5, 0.7), width=2)
    pen.poly((0.54, 0.06), (0.54, 0.62), (0.92, 0.62), fill=LIGHT)
    pen.poly((0.02, 0.66), (0.98, 0.66), (0.8, 0.96), (0.2, 0.96))


THINGS: dict[str, Callable[[Pen], None]] = {
    "cactus": _cactus,
    "robot": _robot,
    "snowman": _snowman,
    "teapot": _teapot,
    "biscuit": _biscuit,
    "balloon": _balloon,
    "moon": _moon,
    "snail": _snail,
    "hat": _hat,
    "fish": _fish,
    "star": _star,
    "house": _house,
    "tree": _tree,
    "cup": _cup,
    "boat": _boat,
}
"""Everything that can be drawn, by the word the models use for it."""


def contrast(color: Rgb) -> Rgb:
    """Black or white, whichever is easier to read on `color`."""
    red, green, blue = color
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    return DARK if luminance > 128 else LIGHT


def _font(text: str, width: float, height: float) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font at the largest size at which `text` fits in the space."""
    probe = ImageFont.load_default(size=100)
    left, top, right, bottom = probe.getbbox(text)
    size = int(min(100 * width / (right - left), 100 * height / (bottom - top)))
    return ImageFont.load_default(size=max(6, size))


def _write(
    paper: ImageDraw.ImageDraw,
    text: str,
    middle: tuple[float, float],
    space: tuple[float, float],
    fill: Rgb,
) -> None:
    font = _font(text, *space)
    left, top, right, bottom = font.getbbox(text)
    corner = (round(middle[0] - (left + right) / 2), round(middle[1] - (top + bottom) / 2))
    paper.text(corner, text, font=font, fill=fill)


def _draw_sign(paper: ImageDraw.ImageDraw, scene: Scene) -> None:
    """A white board in a coloured frame, with lines of words as large as they fit."""
    width, height = scene.size
    wide, high = scene.scale * width, scene.scale * height
    x, y = (0.5 + scene.shift[0]) * width, (0.5 + scene.shift[1]) * height
    frame = max(2, round(0.06 * min(wide, high)))
    corners = [(x - wide / 2, y - high / 2), (x + wide / 2, y + high / 2)]
    paper.rectangle(corners, fill=LIGHT, outline=COLORS[scene.color], width=frame)
    row = (high - 2 * frame) / len(scene.sign)
    for index, text in enumerate(scene.sign):
        middle = (x, y - high / 2 + frame + (index + 0.5) * row)
        _write(paper, text, middle, (0.94 * wide - 2 * frame, 0.7 * row), DARK)


def _draw_thing(paper: ImageDraw.ImageDraw, scene: Scene) -> None:
    """One thing, with its word (if any) on the strip below it."""
    width, height = scene.size
    strip = 0.26 * height if scene.word else 0.0
    side = scene.scale * min(width, height - strip)
    x = (0.5 + scene.shift[0]) * width
    y = (height - strip) / 2 + scene.shift[1] * (height - strip)
    ink = contrast(GROUNDS[scene.ground])
    pen = Pen(paper, x - side / 2, y - side / 2, side, ink, COLORS[scene.color])
    THINGS[scene.thing](pen)
    if scene.word:
        middle = (width / 2, height - strip / 2)
        _write(paper, scene.word, middle, (0.6 * min(width, height), 0.72 * strip), ink)


def draw_scene(scene: Scene) -> Image.Image:
    """Draw one scene; RGB, of exactly `scene.size`."""
    image = Image.new("RGB", scene.size, GROUNDS[scene.ground])
    paper = ImageDraw.Draw(image)
    if scene.sign:
        _draw_sign(paper, scene)
    if scene.thing:
        _draw_thing(paper, scene)
    return image
