"""The command line: each command parses, calls one function, prints.

Exit codes: 0 done; 1 an error a person can put right, told in one line; 2 wrong usage;
3 done, but some requests failed or wait for others; 130 interrupted. Anything else keeps its
traceback.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
SOME_FAILED = 3


def main() -> None:
    """Run the command line."""
    from lam3db.cli.app import app
    from lam3db.cli.streams import forget_stdout, standard_streams
    from lam3db.errors import Lam3Error

    try:
        with standard_streams():
            app()
    except Lam3Error as error:
        print(f"lam3db: error: {_plain(str(error))}", file=sys.stderr)  # noqa: T201 - the door
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        forget_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        print("lam3db: interrupted", file=sys.stderr)  # noqa: T201 - the door
        sys.exit(INTERRUPTED)


def _plain(text: str) -> str:
    """Return a message without what would steer a terminal."""
    from lam3db.report.text import safe_text

    return safe_text(text)
