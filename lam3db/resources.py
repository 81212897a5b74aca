"""Where the files that ship with lam3db lie: configs, migrations, demo data.

In a clone they are top-level folders; in an installed wheel they lie in
``lam3db/_shipped/``. What must hold: every path is asked for here, so that an installed
wheel in an empty folder behaves as the clone does.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(*parts: str) -> Path:
    """Return the path of a shipped file or folder, for example ``shipped("configs")``.

    The path may not exist: the caller says what is missing.
    """
    installed = _PACKAGE / "_shipped"
    root = installed if installed.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)
