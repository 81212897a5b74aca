"""A process of its own that renders chat templates, so that none can hang or fill the machine.

A chat template is a stranger's program: nested loops run for ever, ``'x' * 10**10`` takes all
memory. This file is run by path (:mod:`lam3db.models.template_host` is its other end) and imports
the standard library and jinja2, nothing else. Messages are JSON behind their length in bytes.

What must hold: what is rendered is what transformers renders of the same template (same
sandbox, same filters and globals); one rendering ends within the limits or ends this process;
the kernel holds the limits, whatever the template does and whether the other end lives or not.
"""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
from datetime import datetime
from typing import IO, Any

_LENGTH_BYTES = 8


def receive(stream: IO[bytes]) -> Any:
    """Return the next message; None at the end of the stream."""
    size = stream.read(_LENGTH_BYTES)
    if len(size) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(size, "big")
    body = stream.read(length)
    return json.loads(body) if len(body) == length else None


def send(stream: IO[bytes], value: Any) -> None:
    """Write one message."""
    body = json.dumps(value).encode("ascii")
    stream.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
    stream.flush()


def serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    """Render what comes until nothing more comes; the first message says under which limits."""
    limits = receive(incoming)
    if limits is None:
        return
    sys.path[:] = limits["path"]
    _environment()
    _limit_memory(limits["memory_bytes"])
    while (job := receive(incoming)) is not None:
        signal.setitimer(signal.ITIMER_PROF, limits["cpu_s"])
        reply = _outcome(job, limits["characters"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(outgoing, reply)


def _limit_memory(size: int) -> None:
    """Let the kernel refuse memory beyond ``size``, where it can."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _outcome(job: dict[str, Any], characters: int) -> dict[str, Any]:
    """Return the rendered text, or what the template did instead."""
    from jinja2 import TemplateError

    try:
        text = _compiled(job["template"]).render(**job["variables"])
    except TemplateError as error:
        return {"refused": str(error)[:_SHOWN]}
    except MemoryError:
        return {"exceeded": "memory"}
    except Exception as error:  # noqa: BLE001 - a template raises what it likes
        return {"refused": f"{type(error).__name__}: {error}"[:_SHOWN]}
    return {"exceeded": "output"} if len(text) > characters else {"text": text}


_SHOWN = 1000


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    return _environment().from_string(template)


@functools.lru_cache(maxsize=1)
def _environment() -> Any:
    """Return the sandbox of transformers' chat templates."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Marks what the assistant says; shown as it is."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            call = self.call_method("shown")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

        @staticmethod
        def shown(caller: Any) -> Any:
            return caller()

    class Names(jinja2.utils.Namespace):
        """A namespace that takes no name with an underscore in front."""

        def __init__(*args: Any, **named: Any) -> None:
            self, given = args[0], dict(*args[1:], **named)
            for name in given:
                _refuse_private(name)
            jinja2.utils.Namespace.__init__(self, given)

        def __setitem__(self, name: str, value: Any) -> None:
            _refuse_private(name)
            jinja2.utils.Namespace.__setitem__(self, name, value)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise,
        "strftime_now": _now,
        "dict": _Dict(),
        "namespace": Names,
    }
    return environment


def _refuse_private(name: Any) -> None:
    from jinja2.exceptions import SecurityError

    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a chat template cannot store {name!r} in a namespace")


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - as transformers writes it


class _Dict:
    """What ``dict`` means in a template."""

    def __call__(self, *args: Any, **named: Any) -> dict[Any, Any]:
        return dict(*args, **named)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end decides what ends
    serve(sys.stdin.buffer, sys.stdout.buffer)
