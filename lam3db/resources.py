"""Where the files that ship with lam3db lie: configs, migrations, demo data.

In a clone they are top-level folders; in an installed wheel they lie in
``lam3db/_shipped/``. What must hold: every path is asked for here, so that an installed
wheel in an empty folder behaves as the clone does.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(*parts: str) -> Path:
    """Return the path of a shipped file or folder, for example ``shipped("configs")``.

    The path may not exist: the caller says what is missing.
    """
    installed = _PACKAGE / "_shipped"
    root = installed if installed.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)


def find_path(text: str) -> Path | None:
    """Return the existing file or folder that a config means by ``text``, else None.

    ``~`` and ``$VARIABLES`` are expanded; a relative path is looked for in the working
    folder first, then among what ships with lam3db. A variable that is not set finds nothing.
    """
    expanded = os.path.expandvars(text)
    if not expanded or "\0" in expanded:
        return None
    path = Path(os.path.expanduser(expanded))  # noqa: PTH111 - Path's own raises without a home
    candidates = [path] if path.is_absolute() else [Path.cwd() / path, shipped(*path.parts)]
    return next((candidate for candidate in candidates if candidate.exists()), None)
