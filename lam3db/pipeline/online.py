"""Which endpoints can be reached: by which proxy, with which key, and for which model.

One request to each: the list of models, or what the kind of judge itself calls its probe.
What must hold: no key and no password is shown; nothing is stored; an endpoint that hangs
costs seconds and holds up no other.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from lam3db import plugins
from lam3db.config import list_configs, load_judge_config, load_model_config
from lam3db.endpoints.client import Client, Probe, list_models
from lam3db.endpoints.faults import FaultError
from lam3db.endpoints.keys import find_key
from lam3db.endpoints.options import endpoint_of
from lam3db.endpoints.proxy import is_loopback, proxy_for
from lam3db.errors import ConfigError, Lam3Error, did_you_mean
from lam3db.pipeline.doctor_check import Check, State
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.config import JudgeConfig, ModelConfig
    from lam3db.config_shapes import EndpointOptions
    from lam3db.endpoints.client import Reply

LONGEST_S = 15.0
_AT_ONCE = 8
_SOON_DAYS = 60
_NAMED = 5
_UNLISTED = "some servers list none: just try"
_CURES = {
    "KeyRefusedError": "set the key's variable again, or ask whether the key may use this service",
    "UnreachableError": (
        "where another machine can reach it: ssh -N -D 1080 USER@HOST here, or "
        "ssh -N -R 1080 USER@THIS over there; then proxy: socks5h://127.0.0.1:1080"
    ),
    "TimedOutError": "see whether url and proxy are right; a proxy that is mute looks like this",
    "ProxyError": "put right the proxy in the endpoint block or in HTTPS_PROXY",
    "CertificateError": "set REQUESTS_CA_BUNDLE to the file with the proxy's certificate",
    "QuotaExhaustedError": "pay for more, or wait until the quota is whole again",
}


class _Endpoint(NamedTuple):
    """A judge or a model that asks one."""

    title: str
    config: JudgeConfig | ModelConfig
    options: EndpointOptions


def reach(
    models: Sequence[str] = (), judges: Sequence[str] = (), today: date | None = None
) -> list[Check]:
    """Ask every endpoint of the models and judges named, or of all there are.

    Raises:
        Lam3Error: what is named cannot be read or asks no endpoint.

    """
    found = list(_endpoints(models, judges))
    day = today or datetime.now(UTC).date()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda one: _look(one, day), found))


def _endpoints(models: Sequence[str], judges: Sequence[str]) -> Iterator[_Endpoint]:
    named = bool(models or judges)
    loaders: list[tuple[str, Sequence[str], Any]] = [
        ("model", models if named else list_configs("models"), load_model_config),
        ("judge", judges if named else list_configs("judges"), load_judge_config),
    ]
    for what, names, load in loaders:
        for name in dict.fromkeys(names):
            try:
                config = load(name)
                options = endpoint_of(config)
            except Lam3Error:
                if named:
                    raise
                continue  # `lam3db doctor` without --online says what is wrong with it
            if options is not None:
                yield _Endpoint(f"{what} {config.name}", config, options)
            elif named:
                raise ConfigError(f"{what} {name} asks no endpoint: there is nothing to reach")


def _look(one: _Endpoint, today: date) -> Check:
    """Return what one endpoint has to say."""
    ends_on = getattr(one.config, "ends_on", None)
    if ends_on is not None and ends_on < today:
        return Check(one.title, "ok", f"ended on {ends_on}: not asked; stored findings are used")
    lines = [] if ends_on is None else [f"ends on {ends_on} (in {(ends_on - today).days} days)"]
    try:
        probe = _probe(one)
        lines.insert(0, _way(one.options))
        quick = min(LONGEST_S, one.options.timeout_s)
        options = one.options.model_copy(update={"timeout_s": quick})
        client = Client(options, one.title, probe.scheme)
        reply = client.once(probe.call)
    except FaultError as fault:
        cure = _CURES.get(fault.kind, "see whether url, proxy and model are right")
        if fault.kind == "UnreachableError" and is_loopback(urlsplit(one.options.url).hostname):
            cure = "start the server or the tunnel that is to listen there, or put right the url"
        if fault.kind == "NoSuchModelError" and probe.model is not None:
            lines.append(f"answers, but lists no models ({fault})")
            return Check(one.title, "warn", "\n".join(lines), _UNLISTED)
        return Check(one.title, "fail", "\n".join([*lines, str(fault)]), cure)
    except Lam3Error as error:
        cure = "put right what is said here"
        return Check(one.title, "fail", "\n".join([*lines, redact(str(error))]), cure)
    lines[0] += f", answers in {reply.latency_ms:.0f} ms"
    return _listed(one, probe, reply, lines, today)


def _probe(one: _Endpoint) -> Probe:
    """Return what the judge or model itself calls its probe, else the list of models."""
    kind = one.config.kind
    is_judge = hasattr(one.config, "settings")
    maker = plugins.judge_maker(kind) if is_judge else plugins.model_kind(kind)
    probe = getattr(maker, "probe", None)
    if probe is not None:
        made: Probe = probe(one.config)
        return made
    model = getattr(one.config, "settings", {}).get("model")
    return list_models(model if isinstance(model, str) else None)


def _way(options: EndpointOptions) -> str:
    """Return address, proxy and key for people; whether there is a key, never which."""
    key = "no key"
    if options.key_env is not None:
        found = find_key(options.key_env)
        key = f"{options.key_env} " + (f"set in {found.place}" if found else "not set")
    proxy = proxy_for(options.url, options.proxy).shown
    return f"{redact(options.url)}, {proxy}, {key}"


def _listed(one: _Endpoint, probe: Probe, reply: Reply, lines: list[str], today: date) -> Check:
    """Look for the model in what came back, and for the day on which it is shut down."""
    if probe.model is None:
        return Check(one.title, "ok", "\n".join(lines))
    data = reply.value.get("data") if isinstance(reply.value, dict) else None
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    known = {str(entry.get("id")): entry for entry in entries}
    if not known:
        lines.append(f"answers, but lists no models, {probe.model} neither")
        return Check(one.title, "warn", "\n".join(lines), _UNLISTED)
    if probe.model not in known:
        near = did_you_mean(probe.model, list(known)[:_NAMED])[:200]
        lines.append(f"{probe.model} is not among the {len(known)} models it lists{near}")
        return Check(one.title, "fail", "\n".join(lines), "put right the model's name")
    state: State = "ok"
    line, cure = f"{probe.model} is there", ""
    shut = _day(known[probe.model].get("shutdown_date"))
    if shut is not None:
        line += f", shut down on {shut} (in {(shut - today).days} days)"
        if (shut - today).days < _SOON_DAYS:
            state, cure = "warn", "finish what needs it, or choose its successor: another model"
    return Check(one.title, state, "\n".join([*lines, line]), cure)


def _day(value: Any) -> date | None:
    """Return a day that an endpoint writes as text or as seconds since 1970."""
    if isinstance(value, str) and (found := re.match(r"\d{4}-\d{2}-\d{2}", value)):
        try:
            return date.fromisoformat(found[0])
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC).date()
        except (ValueError, OverflowError, OSError):
            return None
    return None
