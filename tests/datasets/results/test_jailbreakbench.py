"""JailbreakBench artifacts: who judged, and what tells files apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, records, refused, remarks

from lam3db.datasets.results.record import imported_judge
from lam3db.records import JudgeKind, Verdict

NAME = "jailbreakbench"


def artifact(
    record: dict[str, Any] | None = None, method: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    one = {"index": 0, "goal": "sing", "category": "noise", "prompt": "Sing!", "response": "La."}
    parameters = {"method": "PAIR", "model": "vicuna", "attack_type": "black_box", **more}
    return {
        "parameters": {**parameters, "method_parameters": method or {}},
        "jailbreaks": [{**one, "jailbroken": True, **(record or {})}],
    }


def judges(path: Path, document: dict[str, Any]) -> list[str]:
    (record,) = records(NAME, as_json(path / "a.json", document))
    return [one.judge.identity.name for one in record.findings]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (artifact(method={"judge-model": "gpt-4-0613"}), "gpt-4-0613"),
        (artifact(judge="my-judge", method={"judge-model": "gpt-4-0613"}), "my-judge"),
        (artifact(judge_model="meta-llama/Llama-3-70b-chat-hf"), "jbb-llama-3-70b"),
        (artifact(evaluation_date="2024-10-14"), "jbb-llama-3-70b"),
        (artifact(evaluation_date="2024-03-06"), "jbb-judge-not-named"),
        (artifact(), "jbb-judge-not-named"),
    ],
)
def test_the_judge_is_the_one_that_the_file_names(
    tmp_path: Path, document: dict[str, Any], name: str
) -> None:
    assert judges(tmp_path, document) == [name]


def test_beside_the_first_judge_stands_llama_3(tmp_path: Path) -> None:
    document = artifact({"jailbroken_llama_guard1": False}, {"judge-model": "gpt-4-0613"})
    assert judges(tmp_path, document) == ["jbb-llama-3-70b", "jbb-llama-guard-1"]


def test_the_identity_of_the_published_judge_stays(tmp_path: Path) -> None:
    document = artifact({"jailbroken_llama_guard1": False})
    (record,) = records(NAME, as_json(tmp_path / "a.json", document))
    origin = {"format": NAME, "source": "JailbreakBench", "column": "jailbroken"}
    before = imported_judge("jbb-llama-3-70b", JudgeKind.LLM, origin, unsafe=(Verdict.UNSAFE,))
    assert record.findings[0].judge.identity.digest == before.identity.digest


def test_files_alike_are_not_counted_as_one(tmp_path: Path) -> None:
    for steps in (1, 2, 3):
        as_json(tmp_path / "jbb" / f"{steps}.json", artifact(method={"steps": steps}))
    message = refused(NAME, tmp_path / "jbb")
    assert "1.json, 2.json, 3.json: PAIR on one model" in message
    assert "--set apart=file" in message
    for apart, values in (("steps", [1, 2, 3]), ("file", ["1.json", "2.json", "3.json"])):
        found = records(NAME, tmp_path / "jbb", settings={"apart": apart})
        assert [one.config.value[apart] for one in found] == values
    as_json(tmp_path / "parts" / "a.json", artifact())
    as_json(tmp_path / "parts" / "b.json", artifact({"goal": "hum"}))
    assert len(records(NAME, tmp_path / "parts")) == 2
    (alone,) = records(NAME, tmp_path / "jbb" / "1.json")
    assert "steps" not in alone.config.value


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    document = artifact({"queries_to_jailbreak": 3, "human": True}, attack_success_rate=0.5)
    as_json(tmp_path / "jbb" / "a.json", {**document, "notes": "x"})
    as_json(tmp_path / "jbb" / "info.json", {"models": {}})
    named, other = remarks(NAME, tmp_path / "jbb")
    for field in ("notes", "parameters.attack_success_rate", "queries_to_jailbreak", "human"):
        assert f" {field} (1)" in named, field
    assert other == "not an artifact, not read: info.json (1)"
