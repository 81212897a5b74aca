"""An image as an endpoint is sent it: a data URL of a bounded PNG.

What must hold: the pixels sent depend on the picture alone, and what makes them is named by
:data:`ENCODER` (change one, change the other).
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODER = "png-2048/1"
LONGEST = 2048
"""The longest side in pixels; a larger picture is made smaller (Lanczos), none larger."""


def data_url(image: Image) -> str:
    """Return an RGB picture as ``data:image/png;base64,...``."""
    from PIL.Image import Resampling

    longest = max(image.size)
    if longest > LONGEST:
        size = [max(1, round(side * LONGEST / longest)) for side in image.size]
        image = image.resize((size[0], size[1]), Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
