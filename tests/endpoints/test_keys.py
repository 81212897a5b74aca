"""Keys: found where they belong, clean, and never sent in the open."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from lam3db.endpoints.keys import Key, find_key, require_key
from lam3db.endpoints.proxy import check_secrecy, check_url, proxy_for
from lam3db.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("A_KEY", raising=False)
    return tmp_path


def test_a_key_of_the_file_is_read_for_its_name_only(folder: Path) -> None:
    (folder / ".env").write_text("A_KEY='sk-from-the-file'\nOTHER=$A_KEY\n")
    key = require_key("A_KEY", "judge a")
    assert (key.value, key.place) == ("sk-from-the-file", ".env")
    assert "A_KEY" not in os.environ
    assert "sk-from" not in repr(key)
    assert find_key("OTHER").value == "$A_KEY", "nothing is put in the place of a name"  # type: ignore[union-attr]


def test_the_environment_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("A_KEY=file\n")
    monkeypatch.setenv("A_KEY", "environment")
    assert require_key("A_KEY", "judge a").value == "environment"


def test_a_missing_key_is_told_with_both_places() -> None:
    with pytest.raises(ConfigError, match=r"judge a: no key: set A_KEY .* \.env"):
        require_key("A_KEY", "judge a")


def test_a_key_is_masked_in_pieces_and_amid_base64() -> None:
    value = "q7Zr1-Plain_Nothing?Shaped~99xyz"
    key = Key(value, "A_KEY", "the environment")
    for cut in (value[:-3], value[:14], value[9:], f"{value[:16]}\n{value[16:]}"):
        told = key.mask_pieces(f"no {cut} is one, {cut}")
        assert told.startswith("no ***")
        assert not any(value[at : at + 12] in told for at in range(len(value)))
    for lead in ("Bearer ", "me:", ":", ""):
        for pack in (base64.b64encode, base64.urlsafe_b64encode):
            packed = pack(f"{lead}{value} and more".encode()).decode()
            left = key.mask(packed).split("***")
            assert len(left) == 2, "all of it is one run"
    assert key.mask_pieces("what is safe stays") == "what is safe stays"


@pytest.mark.parametrize("value", ["sk-a b", "sk-a\n", "'sk-quoted'", "sk-ключ", "\tsk"])
def test_a_key_that_cannot_be_one_is_refused_unseen(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", value)
    with pytest.raises(ConfigError, match="A_KEY") as caught:
        find_key("A_KEY")
    assert value.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "setting", "open_to_see"),
    [
        ("https://api.example/v1", "env", False),
        ("http://api.example/v1", "env", True),
        ("http://10.0.0.7:8000/v1", "none", True),
        ("http://127.0.0.1:8000/v1", "env", False),
        ("http://localhost:8000/v1", "none", False),
        ("http://[::1]:8000/v1", "none", False),
        ("http://127.0.0.1.evil.example/v1", "none", True),
        ("http://127.0.0.1:8000/v1", "http://proxy.example:3128", True),
        ("http://127.0.0.1:8000/v1", "socks5h://127.0.0.1:1080", False),
        ("http://api.example/v1", "socks5h://127.0.0.1:1080", True),
    ],
)
def test_a_key_is_not_sent_in_the_open(url: str, setting: str, *, open_to_see: bool) -> None:
    proxy = proxy_for(url, setting)
    if open_to_see:
        with pytest.raises(ConfigError, match="A_KEY would be sent unencrypted"):
            check_secrecy(url, proxy, "A_KEY", "judge a")
    else:
        check_secrecy(url, proxy, "A_KEY", "judge a")


@pytest.mark.parametrize(
    "url", ["https:///v1", "https://me:pw@host/v1", "https://host/v1?key=abc", "http://host:99999/"]
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_url(url, "judge a")
    assert "pw" not in str(caught.value).replace("password", "")
    assert "abc" not in str(caught.value)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:geheim@proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    far = proxy_for("https://api.example/v1", "env")
    assert far.url == "http://me:geheim@proxy.example:3128"
    assert "geheim" not in far.shown + repr(far)
    assert proxy_for("http://api.example/v1", "env").url == "socks5h://127.0.0.1:1080"
    assert proxy_for("https://inside.example/v1", "env").url is None
    assert proxy_for("https://127.0.0.1:8000/v1", "env").url is None
    assert proxy_for("https://api.example/v1", "none").url is None


@pytest.mark.parametrize("setting", ["127.0.0.1:1080", "ftp://proxy", "socks5h://", "http://:80"])
def test_a_proxy_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        proxy_for("https://api.example/v1", setting)
