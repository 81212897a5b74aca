"""Everything that can be known before a GPU starts, as a list with a cure for each fault.

What must hold: nothing is changed by looking (no database or folder is made, no weight is
loaded, nothing is fetched), no secret is shown, and a check that finds a fault says what to
do about it.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lam3db.config import list_configs, load_runtime_config
from lam3db.endpoints.keys import ENV_FILE, find_key
from lam3db.endpoints.proxy import proxy_fault
from lam3db.errors import (
    ConfigError,
    DatabaseMissingError,
    DatabaseOlderError,
    Lam3Error,
    StoreError,
)
from lam3db.pipeline.doctor_check import LOCAL, Check, State, Wanted
from lam3db.pipeline.doctor_configs import check_judge, check_model, plain_runtime
from lam3db.redaction import is_secret_name, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lam3db.store.address import Address

GIB = 1 << 30
MIB = 1 << 20
_LOW_DISK, _FULL_DISK = 5 * GIB, 200 * MIB
_CUDA_SECONDS = 120
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?P<bounds>[^;]*)(?P<mark>.*)")
_BOUND = re.compile(r"(?P<sign>>=|<=|==|<|>)\s*(?P<version>[\d.]+)")
_HUB = "HF_TOKEN"
_KEYS = (_HUB, "OPENAI_API_KEY", "PERSPECTIVE_API_KEY")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_ASK_CUDA = (
    "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available(), sep='|')"
)


def examine(
    url: str | None = None,
    models: Sequence[str] = (),
    judges: Sequence[str] = (),
    runtime: str | None = None,
) -> list[Check]:
    """Look at everything, in the order in which things are needed.

    Without names every configured model and judge is looked at, and what is not there is a
    warning, but for the demo's own.

    Raises:
        Lam3Error: the runtime config cannot be read.

    """
    settings = plain_runtime() if runtime is None else load_runtime_config(runtime).config
    checks = [_python(), _base(), _stack(needed=bool(models))]
    checks += _database(url)
    checks += [_gpu(), _offline(), _proxies(), _keys()]
    checks += [
        check_model(wanted, settings)
        for wanted in _wanted("models", models, any_named=bool(judges))
    ]
    checks += [check_judge(wanted) for wanted in _wanted("judges", judges, any_named=bool(models))]
    return checks


def _wanted(
    kind: Literal["models", "judges"], names: Sequence[str], *, any_named: bool
) -> list[Wanted]:
    if names or any_named:
        return [Wanted(name, named=True) for name in dict.fromkeys(names)]
    return [Wanted(name, named=False) for name in list_configs(kind)]


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "use Python 3.11, 3.12 or 3.13")


def _base() -> Check:
    found, faults = _packages(extra=None)
    if faults:
        return Check("packages", "fail", "; ".join(faults), "pip install --upgrade lam3db")
    return Check("packages", "ok", found)


def _stack(*, needed: bool) -> Check:
    found, faults = _packages(extra="local")
    if faults:
        state: State = "fail" if needed else "warn"
        what = "without it no model runs and no classifier judges; reports and SQL work"
        return Check("model stack", state, f"{'; '.join(faults)} ({what})", LOCAL)
    if _version("torchvision") is not None:
        found += f", torchvision {_version('torchvision')}"
        cure = "pip uninstall torchvision, unless `lam3db smoke` works with it"
        return Check("model stack", "warn", f"{found}: torchvision can break transformers", cure)
    return Check("model stack", "ok", found)


def _packages(extra: str | None) -> tuple[str, list[str]]:
    """Return what is installed of our requirements, and what is missing or out of bounds."""
    found: list[str] = []
    missing: list[str] = []
    faults: list[str] = []
    for text in requires("lam3db") or []:
        requirement = _REQUIREMENT.match(text)
        if requirement is None or not _asked(requirement["mark"], extra):
            continue
        name, bounds = requirement["name"], requirement["bounds"].strip()
        installed = _version(name)
        if installed is None:
            missing.append(name)
        elif not _within(installed, bounds):
            faults.append(f"{name} {installed} is installed, {bounds} is needed")
        else:
            found.append(f"{name} {installed}")
    if missing:
        faults.insert(0, f"not installed: {', '.join(missing)}")
    return ", ".join(found), faults


def _asked(mark: str, extra: str | None) -> bool:
    named = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", mark)
    if "sys_platform == 'linux'" in mark.replace('"', "'") and sys.platform != "linux":
        return False
    return (named[1] if named else None) == extra


def _within(installed: str, bounds: str) -> bool:
    signs: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
    }
    have = _numbers(installed)
    return all(signs[b["sign"]](have, _numbers(b["version"])) for b in _BOUND.finditer(bounds))


def _numbers(text: str) -> tuple[int, ...]:
    plain = re.match(r"\d+(?:\.\d+)*", text)
    numbers = [int(part) for part in plain[0].split(".")] if plain else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _database(url: str | None) -> Iterator[Check]:
    """Look at the database, its media root and the disk under both; SQLite may be yet to come."""
    from lam3db.store.address import parse
    from lam3db.store.engine import open_store

    media = os.environ.get("LAM3DB_MEDIA")
    try:
        address = parse(url)
        folder = address.path.parent if address.dialect == "sqlite" else Path.cwd()
        media = media or str(folder / f"{address.path.stem or 'lam3db'}_media")
        with open_store(url, mode="read") as store:
            media = store.media_root
            yield Check("database", "ok", f"{store.url}, schema is current")
    except DatabaseMissingError as error:
        yield _to_come(address) if address.dialect == "sqlite" else _refused(error, "fail")
    except DatabaseOlderError as error:
        # SQLite is upgraded by the next command that writes, PostgreSQL never unasked
        yield _refused(error, "warn" if address.dialect == "sqlite" else "fail")
    except Lam3Error as error:
        yield Check("database", "fail", redact(str(error)), "or choose another one with --db")
    if media is not None:
        yield _media(media)
        yield _disk(Path.cwd() if "://" in media else Path(media))


def _refused(error: Lam3Error, state: State) -> Check:
    return Check("database", state, redact(str(error)), "lam3db db upgrade")


def _to_come(address: Address) -> Check:
    """Look at the place where the first command that writes will make a SQLite file."""
    from lam3db.store.disk import refuse_network

    try:
        refuse_network(address.path)
        fault = _not_writable(address.path.parent)
    except StoreError as error:
        fault = str(error)
    if fault:
        cure = "choose another place with --db or LAM3DB_URL"
        return Check("database", "fail", f"{address.shown}: {fault}", cure)
    detail = f"{address.shown} is not there yet; the first command that writes makes it"
    return Check("database", "ok", detail)


def _not_writable(folder: Path) -> str:
    """Return why nothing could be written at ``folder`` (itself or its nearest parent)."""
    near = next(place for place in (folder, *folder.parents) if place.exists())
    if not near.is_dir():
        return f"{near} is not a folder"
    return "" if os.access(near, os.W_OK | os.X_OK) else f"{near} is not writable"


def _media(root: str) -> Check:
    if "://" in root:
        cure = "lam3db smoke writes an image there and so tries it"
        return Check("media root", "warn", f"{redact(root)} is looked at when used", cure)
    fault = _not_writable(Path(root).absolute())
    if fault:
        cure = "make it writable, or set LAM3DB_MEDIA to another folder"
        return Check("media root", "fail", f"{root}: {fault}", cure)
    return Check("media root", "ok", f"{root} is writable")


def _disk(folder: Path) -> Check:
    near = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(near).free
    detail = f"{free / GIB:.1f} GiB free at {near.absolute()}"
    cure = "free some space, or put database and media elsewhere (--db, LAM3DB_MEDIA)"
    if free < _FULL_DISK:
        return Check("disk", "fail", detail, cure)
    return Check("disk", "warn", detail, cure) if free < _LOW_DISK else Check("disk", "ok", detail)


def _gpu() -> Check:
    """Ask the driver, then torch (in a process of its own: importing it takes seconds)."""
    from lam3db.models.environment import model_environment

    gpus = model_environment().get("gpus", [])
    if not gpus:
        return Check("GPU", "ok", "none seen (no nvidia-smi): models run on the CPU")
    shown = "; ".join(f"{gpu['name']}, {gpu['memory']}, driver {gpu['driver']}" for gpu in gpus)
    if _version("torch") is None:
        return Check("GPU", "warn", f"{shown}; torch is not installed", LOCAL)
    try:
        words = [sys.executable, "-c", _ASK_CUDA]
        done = subprocess.run(  # noqa: S603 - our own interpreter and a fixed program
            words, capture_output=True, text=True, timeout=_CUDA_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Check("GPU", "fail", f"{shown}; torch hangs", "look at nvidia-smi and the driver")
    if done.returncode != 0:
        why = redact(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message")
        return Check("GPU", "fail", f"{shown}; torch does not start: {why}", "install torch again")
    torch, cuda, usable = done.stdout.strip().splitlines()[-1].split("|")
    if usable == "True":
        return Check("GPU", "ok", f"{shown}; torch {torch} with CUDA {cuda}")
    why = "is a build without CUDA" if cuda == "None" else f"(CUDA {cuda}) cannot use it"
    cure = "install a torch that fits the driver, see pytorch.org; until then the CPU is used"
    return Check("GPU", "warn", f"{shown}; torch {torch} {why}", cure)


def _offline() -> Check:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HOME", "TORCH_HOME")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    lost = [n for n in ("HF_HOME", "TORCH_HOME") if n in found and not Path(found[n]).is_dir()]
    shown = ", ".join(f"{name}={redact(value)}" for name, value in found.items())
    if lost:
        cure = f"make the folder, or unset {lost[0]}"
        return Check("offline", "warn", f"{shown}: no folder at {' and '.join(lost)}", cure)
    rule = "models are looked up on this machine only, unless a config says otherwise"
    return Check("offline", "ok", f"{shown or 'no variable set'}; {rule}")


def _proxies() -> Check:
    names = [name for upper in _PROXIES for name in (upper, upper.lower())]
    given = [name for name in names if os.environ.get(name)]
    shown = ", ".join(f"{name}={redact(os.environ[name])}" for name in given) or "none set"
    urls = [name for name in given if not name.upper().startswith("NO_")]
    faults = [fault for name in urls if (fault := proxy_fault(os.environ[name], name))]
    if faults:
        return Check(
            "proxies", "warn", f"{shown}; {'; '.join(faults)}", "set it again, or unset it"
        )
    return Check("proxies", "ok", shown)


def _keys() -> Check:
    """Say which keys are there, never what they are; a blank around one is a common mistake."""
    others = [n for n in os.environ if is_secret_name(n) and n.upper().endswith("API_KEY")]
    names = sorted({*_KEYS, *others})
    spoilt = [name for name in names if name in os.environ and not _is_clean(os.environ[name])]
    spoilt += [name for name in names if name not in spoilt and _in_file(name) == "spoilt"]
    shown = ", ".join(f"{name} {_standing(name)}" for name in names)
    if spoilt:
        cure = f"set {spoilt[0]} again without blanks, quotes or line ends"
        return Check("keys", "warn", f"{shown}; not clean: {', '.join(spoilt)}", cure)
    return Check("keys", "ok", shown)


def _standing(name: str) -> str:
    if os.environ.get(name):
        return "set"
    return f"set in {ENV_FILE}" if _in_file(name) else "not set"


def _in_file(name: str) -> str:
    """Return ``clean`` or ``spoilt`` for an endpoint's key in ``.env``, else nothing."""
    if name == _HUB or os.environ.get(name):  # the hub's library reads the environment alone
        return ""
    try:
        return "clean" if find_key(name) else ""
    except ConfigError:
        return "spoilt"


def _is_clean(value: str) -> bool:
    return not value or re.fullmatch(r"[^\s'\"]+", value) is not None
