"""Through which proxy an endpoint is reached, and whether a key may go that way.

``env`` follows HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY as they are usually read, but
for endpoints on this machine, which are never asked through somebody else; ``none`` goes
direct; anything else is a proxy's URL. ``socks5h`` lets the proxy resolve names (as behind
``ssh -D``), ``socks5`` resolves them here.

A server without network reaches an API through a machine that has it, by one of::

    server$ ssh -N -D 1080 USER@HOST       # HOST has network, and the server may log in there
    laptop$ ssh -N -R 1080 USER@SERVER     # the laptop has network, and may log in to the server
    # then, either way: proxy: socks5h://127.0.0.1:1080
    laptop$ ssh -N -L 8000:127.0.0.1:8000 USER@SERVER    # the other way: a model served over there
    # then: url: http://127.0.0.1:8000/v1

What must hold: a key never crosses a network unencrypted; a proxy's password is shown
nowhere, should the proxy itself repeat it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from lam3db.endpoints.keys import Key
from lam3db.errors import ConfigError
from lam3db.redaction import redact

_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL (None: direct) and who named it."""

    url: str | None = field(repr=False)
    named_by: str

    @property
    def shown(self) -> str:
        """Return it for people, without a password."""
        if self.url is None:
            return "direct"
        return f"{redact(self.url)} ({self.named_by})"

    @property
    def secrets(self) -> tuple[Key, ...]:
        """Return its password in each spelling in which a proxy has seen it."""
        parts = urlsplit(self.url or "")
        user, password = parts.username or "", parts.password
        if not (password or user):
            return ()
        login = f"{unquote(user)}:{unquote(password or '')}"
        found = (login, unquote(password), password) if password else (login,)
        return tuple(Key(one, "proxy", self.named_by) for one in dict.fromkeys(found))


def proxy_for(url: str, setting: str) -> Proxy:
    """Return the proxy of an endpoint at ``url``; raise ConfigError for what is none."""
    if setting == "none":
        return Proxy(None, "proxy: none")
    if setting != "env":
        return Proxy(_checked(setting, "proxy"), "proxy")
    from requests.utils import get_environ_proxies, select_proxy

    if is_loopback(urlsplit(url).hostname):
        return Proxy(None, "this machine")
    found = select_proxy(url, get_environ_proxies(url))
    if not found:
        return Proxy(None, "environment")
    return Proxy(_checked(found if "://" in found else f"http://{found}", "env"), "environment")


def check_url(url: str, what: str) -> SplitResult:
    """Return the parts of an endpoint's URL; raise ConfigError for one that cannot be it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{what}: url {redact(url)!r}: {error}") from error
    if not host:
        raise ConfigError(f"{what}: url {redact(url)!r} names no host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"{what}: url {redact(url)!r}: a user, a password or a query has no place here; name "
            "the key's variable with key_env"
        )
    return parts


def check_secrecy(url: str, proxy: Proxy, variable: str, what: str) -> None:
    """Raise ConfigError where a key would cross a network unencrypted.

    ``http://`` is for this machine, where nobody listens in between (a local server, the end of
    ``ssh -L``), and not by way of a proxy elsewhere.
    """
    parts = urlsplit(url)
    near = is_loopback(parts.hostname)
    through = urlsplit(proxy.url).hostname if proxy.url else None
    if parts.scheme == "https" or (near and (through is None or is_loopback(through))):
        return
    raise ConfigError(
        f"{what}: {variable} would be sent unencrypted to {parts.hostname}: use https://, a tunnel "
        f"(ssh -L 8000:{parts.hostname}:{parts.port or 80} ... and http://127.0.0.1:8000), or "
        "leave key_env out"
    )


def is_loopback(host: str | None) -> bool:
    """Tell whether a host's name or address is this machine."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_fault(text: str, variable: str) -> str:
    """Return what is wrong with a proxy that the environment names; ``""`` where nothing is."""
    try:
        _checked(text if "://" in text else f"http://{text}", variable)
    except ConfigError as error:
        return str(error)
    return ""


def _checked(url: str, named_by: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            f"proxy {redact(url)!r} ({named_by}): write env, none, or a URL such as "
            "http://proxy:3128 or socks5h://127.0.0.1:1080"
        )
    return url
