"""Every error lam3db raises on purpose.

::

    Lam3Error                     one line for a person, exit code 1
    ├── ConfigError               a config file or option is wrong
    ├── InputError                a dataset or imported file is wrong; lists every fault found
    ├── MediaError                one image cannot be used
    ├── MissingDependencyError    an optional package is not installed
    ├── ModelError                a model cannot be described or loaded
    ├── JudgeError                a judge cannot be described or loaded
    ├── NotFoundError             a name nobody knows, with "did you mean"
    ├── EndpointError             an HTTP endpoint that need not be asked any further
    │   └── BudgetExhaustedError  its budget is spent; what is left stays pending
    └── StoreError                the database cannot be used
        ├── DatabaseMissingError
        ├── DatabaseOlderError    needs `lam3db db upgrade`
        ├── DatabaseNewerError    needs a newer lam3db
        ├── DatabaseForeignError  not a lam3db database
        └── DatabaseBusyError     somebody else holds the lock

What must hold: a message says what is wrong, with which value, and what to do, and it has
been through :func:`lam3db.redaction.redact` where it repeats text from outside. Anything
that is not a :class:`Lam3Error` is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Lam3Error(Exception):
    """Something a person can put right; its text is shown as it is.

    ``of_sample``: its cause lies in one sample and says nothing of the others.
    """

    of_sample = False


class ConfigError(Lam3Error):
    """A config file or an option is wrong; nothing was started."""


class InputError(Lam3Error):
    """A file from outside is refused whole; ``faults`` holds each reason on its own."""

    def __init__(
        self, message: str, faults: Sequence[str] = (), *, of_sample: bool = False
    ) -> None:
        super().__init__("\n  ".join([message, *faults]))
        self.faults = tuple(faults)
        self.of_sample = of_sample


class MediaError(Lam3Error):
    """One image cannot be used; the text names the reason, not the file."""

    of_sample = True


class MissingDependencyError(Lam3Error):
    """An optional package is needed for this command."""


class ModelError(Lam3Error):
    """A model cannot be described or loaded."""


class JudgeError(Lam3Error):
    """A judge cannot be described or loaded."""


class NotFoundError(Lam3Error):
    """A name that nothing has."""


class EndpointError(Lam3Error):
    """An HTTP endpoint need not be asked any further: every other request would fail too."""


class BudgetExhaustedError(EndpointError):
    """The budget of an endpoint is spent; nothing has failed, what is left stays pending."""


class StoreError(Lam3Error):
    """The database cannot be used for this."""


class DatabaseMissingError(StoreError):
    """There is no database at this URL."""


class DatabaseOlderError(StoreError):
    """The database's schema is older than this lam3db."""


class DatabaseNewerError(StoreError):
    """The database's schema is newer than this lam3db."""


class DatabaseForeignError(StoreError):
    """A database, but not one of lam3db's."""


class DatabaseBusyError(StoreError):
    """Another process holds the lock for longer than we wait."""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return `` - did you mean 'x'?`` for a near miss, else the known names, else ``""``."""
    import difflib

    near = difflib.get_close_matches(name[:_LONGEST], known[:_COMPARED], n=1, cutoff=0.6)
    if near:
        return f" - did you mean {near[0]!r}?"
    shown = [one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..." for one in sorted(known)]
    more = f" and {len(shown) - _SHOWN:,} more" if len(shown) > _SHOWN else ""
    return f" (known: {', '.join(shown[:_SHOWN])}{more})" if known else ""


_COMPARED = 2000
_SHOWN = 50
_LONGEST = 100
