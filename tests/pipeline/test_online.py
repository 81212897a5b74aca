"""doctor --online: who can be reached, by which way, for which model, and for how long."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play, error
from proxies import HttpProxy
from stub_apis import play

from lam3db.errors import ConfigError, NotFoundError
from lam3db.pipeline.online import reach

if TYPE_CHECKING:
    from lam3db.pipeline.doctor_check import Check

KEY = "sk-loopback-0123456789abcdef"
SNAPSHOT = "omni-moderation-2024-09-26"
TODAY = date(2026, 11, 25)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUB_KEY", KEY)


def judge(url: str, kind: str = "openai-moderation", more: str = "", name: str = "j") -> None:
    path = Path("configs/judges") / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"kind: {kind}\n{more}settings:\n  endpoint:\n    url: {url}\n    key_env: STUB_KEY\n"
    )


def listing(*entries: dict[str, Any]) -> Any:
    def script(asked: Asked) -> Play:
        assert (asked.method, asked.target) == ("GET", "/v1/models")
        assert asked.headers["Authorization"] == f"Bearer {KEY}"
        return Play(body={"object": "list", "data": list(entries)})

    return script


def look(name: str = "j") -> Check:
    (check,) = reach(judges=[name], today=TODAY)
    assert KEY not in repr(check)
    return check


def test_all_is_well() -> None:
    with FaultyServer(listing({"id": "x"}, {"id": SNAPSHOT})) as server:
        judge(server.url)
        check = look()
        assert check.state == "ok"
        for word in (server.url, "direct", "STUB_KEY set in the environment", " ms", "is there"):
            assert word in check.detail


@pytest.mark.parametrize(
    ("day", "state", "said"),
    [
        ("2027-06-01", "ok", "2027-06-01 (in 188 days)"),
        ("2026-12-11", "warn", "in 16 days"),
        (1797897600, "warn", "2026-12-22"),
        ("soon", "ok", "is there"),
        (1e300, "ok", "is there"),
    ],
)
def test_a_model_that_is_to_be_shut_down(day: Any, state: str, said: str) -> None:
    with FaultyServer(listing({"id": SNAPSHOT, "shutdown_date": day})) as server:
        judge(server.url)
        check = look()
    assert check.state == state
    assert said in check.detail


def test_what_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyServer(listing({"id": "omni-moderation-2024-09-27"})) as server:
        judge(server.url)
        check = look()
        assert check.state == "fail"
        assert "did you mean 'omni-moderation-2024-09-27'" in check.detail
    check = look()
    assert (check.state, "cannot be reached" in check.detail) == ("fail", True)
    assert "Watched" not in check.detail  # ours, and nothing to people
    assert "127.0.0.1:" in check.detail
    assert check.cure.startswith("start the server")
    with FaultyServer(listing()) as server:
        judge(server.url)
        check = look()
        assert (check.state, "lists no models" in check.detail) == ("warn", True)
    judge("https://judge.invalid/v1")
    assert "ssh -N -D 1080" in look().cure
    with FaultyServer(lambda _: error(401, f"Incorrect API key provided: {KEY}")) as server:
        judge(server.url)
        check = look()
    assert (check.state, "401" in check.detail, "key" in check.cure) == ("fail", True, True)
    with FaultyServer(lambda _: Play(404, "")) as server:
        judge(server.url)
        assert look().state == "warn"
    monkeypatch.delenv("STUB_KEY")
    check = look()
    assert (check.state, "set STUB_KEY" in check.detail) == ("fail", True)


def test_through_a_proxy_whose_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        FaultyServer(lambda _: Play(body={"data": [{"id": SNAPSHOT}]})) as server,
        HttpProxy({"judge.invalid": server.port}, "me:geheim") as proxy,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        judge("http://judge.invalid/v1")
        path = Path("configs/judges/j.yaml")
        path.write_text(path.read_text().replace("    key_env: STUB_KEY\n", ""))
        check = look()
        assert proxy.seen == ["GET http://judge.invalid/v1/models"]
    assert check.state == "ok"
    assert "geheim" not in repr(check)
    assert f"@127.0.0.1:{proxy.port} (environment)" in check.detail


def test_perspective_is_asked_for_one_word_and_tells_its_end() -> None:
    with FaultyServer(play) as server:
        judge(server.url, "perspective", "ends_on: 2026-12-31\n")
        check = look()
        (asked,) = server.asked
        assert (check.state, "ends on 2026-12-31 (in 36 days)" in check.detail) == ("ok", True)
        assert (asked.body["comment"], asked.body["doNotStore"]) == ({"text": "hello"}, True)
        (after,) = reach(judges=["j"], today=date(2027, 1, 1))
        assert "ended on 2026-12-31" in after.detail
        assert len(server.asked) == 1


def test_a_model_behind_an_endpoint_and_all_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lam3db.resources.shipped", lambda *parts: Path("none", *parts))
    monkeypatch.setattr("lam3db.config.shipped", lambda *parts: Path("none", *parts))
    with FaultyServer(listing({"id": "some/model"}, {"id": SNAPSHOT})) as server:
        judge(server.url)
        judge("not a url", name="broken")
        path = Path("configs/models/m.yaml")
        path.parent.mkdir(parents=True)
        block = f"endpoint: {{url: '{server.url}', key_env: STUB_KEY}}"
        path.write_text(f"family: endpoint\nsource: some/model\n{block}\n")
        checks = reach(today=TODAY)
    assert [(check.name, check.state) for check in checks] == [
        ("model m", "ok"),
        ("judge j", "ok"),
    ]


def test_what_is_named_must_have_an_endpoint() -> None:
    with pytest.raises(ConfigError, match="asks no endpoint"):
        reach(judges=["refusal-gcg"])
    with pytest.raises(NotFoundError):
        reach(models=["nobody"])
