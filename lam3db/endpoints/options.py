"""The endpoint block of a config: where a judge or a model has it, and its budget changed.

What must hold: a judge's endpoint options stand under ``settings.endpoint`` (those of an llm
judge's model under ``settings.model.endpoint``), a model's under ``endpoint``; a budget for what
asks no endpoint is an error, not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lam3db.config_files import Faults, raise_faults
from lam3db.config_shapes import EndpointOptions, FrozenDict, check
from lam3db.endpoints import proxy as proxies
from lam3db.endpoints.keys import require_key
from lam3db.errors import ConfigError

if TYPE_CHECKING:
    from lam3db.config_shapes import JudgeConfig, ModelConfig
    from lam3db.endpoints.keys import Key
    from lam3db.endpoints.proxy import Proxy


def way_to(options: EndpointOptions, what: str) -> tuple[Proxy, Key | None]:
    """Return by which proxy and with which key an endpoint is asked; asks nothing.

    Raises:
        ConfigError: no key where one is named, a URL or proxy that is none, a key that would
            travel open, a budget that cannot be reckoned.

    """
    check_endpoint(options, what)
    proxy = proxies.proxy_for(options.url, options.proxy)
    if options.key_env is None:
        return proxy, None
    key = require_key(options.key_env, what)
    proxies.check_secrecy(options.url, proxy, options.key_env, what)
    return proxy, key


def check_endpoint(options: EndpointOptions, what: str) -> None:
    """Raise ConfigError for a block that is wrong whatever the surroundings."""
    proxies.check_url(options.url, what)
    if "@" in options.proxy:
        raise ConfigError(
            f"{what}: proxy: a user or password has no place in a config: write proxy: env, and "
            "set HTTPS_PROXY in the environment"
        )
    check_budget(options, what)


def endpoint_of(config: JudgeConfig | ModelConfig) -> EndpointOptions | None:
    """Return the endpoint a judge or model asks; None where it asks none.

    Raises:
        ConfigError: the block is wrong.

    """
    settings = getattr(config, "settings", None)
    if settings is None:
        return getattr(config, "endpoint", None)
    place = _place(settings)
    block: Any = settings if place else None
    for step in place:
        block = block[step]
    if block is None or isinstance(block, EndpointOptions):
        return block
    faults = Faults(f"judge {config.name}, settings.{'.'.join(place)}")
    options = check(EndpointOptions, block, faults.add)
    if options is not None and options.limit_name != "auto" and place == ("endpoint",):
        faults.add(("limit_name",), "limit_name has no effect: this judge's answers have no limit")
    raise_faults(faults)
    return options


def _place(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where a judge's block stands; nowhere, where it asks none."""
    model = settings.get("model")
    if settings.get("endpoint") is not None:
        return ("endpoint",)
    if isinstance(model, Mapping) and model.get("endpoint") is not None:
        return ("model", "endpoint")
    return ()


def _changed(values: Mapping[str, Any], place: tuple[str, ...], change: Any) -> FrozenDict:
    """Return the values with ``change`` laid over what stands at ``place``."""
    if not place:
        return FrozenDict({**values, **change})
    return FrozenDict({**values, place[0]: _changed(values[place[0]], place[1:], change)})


def with_budget(config: Any, max_requests: int | None = None, max_cost: float | None = None) -> Any:
    """Return a judge's or model's config with this budget in place of its own.

    Raises:
        ConfigError: it asks no endpoint, or has no prices to reckon a cost with.

    """
    change = {"max_requests": max_requests, "max_cost": max_cost}
    change = {name: value for name, value in change.items() if value is not None}
    if not change:
        return config
    options = endpoint_of(config)
    if options is None:
        words = " and ".join(f"--{name.replace('_', '-')}" for name in change)
        raise ConfigError(
            f"{config.name} asks no endpoint: {words} would have no effect; name only what does"
        )
    check_budget(options.model_copy(update=change), config.name)
    if hasattr(config, "settings"):
        settings = _changed(config.settings, _place(config.settings), change)
        return config.model_copy(update={"settings": settings})
    return config.model_copy(update={"endpoint": options.model_copy(update=change)})


def check_budget(options: EndpointOptions, what: str) -> None:
    """Raise ConfigError for a cost that cannot be reckoned."""
    priced = options.input_price is not None and options.output_price is not None
    if options.max_cost is not None and not priced:
        raise ConfigError(
            f"{what}: max_cost needs input_price and output_price (US dollars per million tokens) "
            "in the endpoint block"
        )
