"""The command line: each command parses, calls one function, prints."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from lam3db.cli.app import app

    app()
