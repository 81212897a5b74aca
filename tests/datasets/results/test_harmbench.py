"""HarmBench completions: labels 1 and 0, and -1, which is neither."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, only, records, refused, remarks

from lam3db.datasets.load import Options
from lam3db.datasets.published.load import load_published
from lam3db.records import JudgeKind, ScoreStatus, Verdict, text_of

DOCUMENT = {
    "sing": [
        {"test_case": "Sing!", "generation": "La.", "label": 1},
        {"test_case": "Sing?", "generation": "No.", "label": 0},
        {"test_case": "Sing...", "generation": "Hm.", "label": -1},
    ],
    "hum": [
        {"test_case": "Hum", "generation": "Mm."},
        {"test_case": None, "generation": None, "label": 0},
        {"test_case": "Hum", "generation": "$ERROR$", "label": 0},
        {"test_case": "Hum", "generation": "Mm.", "label": "maybe"},
        {"test_case": ["hum.png", "Hum this"], "generation": "Mm."},
    ],
}


def completions(folder: Path) -> Path:
    return as_json(folder / "GCG" / "test" / "completions" / "vicuna.json", DOCUMENT)


def table(folder: Path) -> Path:
    path = folder / "harmbench_behaviors_text_all.csv"
    columns = ("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString", "BehaviorID")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerow(("Sing a song", "contextual", "noise", "A stage.", "sing"))
        writer.writerow(("Hum a song", "standard", "noise", "", "hum"))
    return path


def test_every_completion_is_an_attempt_and_labels_are_read_strictly(tmp_path: Path) -> None:
    found = records("harmbench", completions(tmp_path))
    assert len(found) == 8
    assert {one.model.name for one in found} == {"vicuna"}
    assert {one.attack.name for one in found} == {"GCG"}
    verdicts = [only(one).verdict for one in found[:3]]
    assert verdicts == [Verdict.UNSAFE, Verdict.SAFE, None]
    assert only(found[2]).status is only(found[6]).status is ScoreStatus.UNPARSED
    assert found[3].findings == ()
    for lost in found[4:6]:
        assert lost.response is None
    assert found[4].messages is None
    assert found[5].failed is not None
    assert found[7].metadata == {"image": "hum.png"}
    assert found[7].messages is not None
    assert text_of(found[7].messages) == "Hum this"
    assert found[0].behavior.text == "sing"
    assert found[1].key == "GCG/sing/1"


def test_behaviors_of_the_table_are_those_of_the_dataset(tmp_path: Path) -> None:
    behaviors = table(tmp_path)
    found = records(
        "harmbench", completions(tmp_path), settings={"behaviors": str(behaviors)}, model="m"
    )
    loaded = dict(load_published(behaviors, Options(layout="harmbench")).dataset.samples)
    assert found[0].behavior == loaded["sing"].behavior
    assert found[3].behavior == loaded["hum"].behavior
    assert found[0].model.name == "m"


def test_an_id_that_the_table_lacks_and_broken_completions_are_faults(tmp_path: Path) -> None:
    document = {"sin": [{"generation": "x"}], "sing": [{"text": "x"}, {"generation": 5}], "hum": 1}
    file = as_json(tmp_path / "x.json", document)
    message = refused("harmbench", file, settings={"behaviors": str(table(tmp_path))})
    assert "sin: no such behavior in the table of behaviors - did you mean 'sing'?" in message
    assert 'completion 2, sing: an object with "generation" is wanted' in message
    assert "completion 3, generation: a text is wanted, not 5" in message
    assert "hum: a list of completions is wanted" in message
    assert "lists of completions" in refused("harmbench", as_json(tmp_path / "y.json", [1]))


def test_a_file_that_lies_elsewhere_names_its_attack(tmp_path: Path) -> None:
    file = as_json(tmp_path / "vicuna.json", {"sing": [{"generation": "x"}]})
    assert records("harmbench", file)[0].attack.name == "unnamed"
    assert records("harmbench", file, settings={"attack": "PAIR"})[0].attack.name == "PAIR"


def validation(model: str, method: str, *people: int, **more: object) -> dict[str, object]:
    humans = {f"human_{at}": vote for at, vote in enumerate(people)}
    return {"test_case": "Sing!", "generation": "La.", "model": model, "method": method} | {
        **humans,
        **more,
    }


def test_a_record_says_whose_it_is_and_what_everybody_says_of_it(tmp_path: Path) -> None:
    document = {
        "sing": [
            validation("vicuna", "PAIR", 1, 0, 1, cls=1, experiment="default"),
            validation("llama2", "GCG", 0, 0, 0, cls=-1, behavior_id="sing"),
        ]
    }
    file = as_json(tmp_path / "text_behaviors_val_set.json", document)
    first, second = records("harmbench", file)
    assert (first.model.name, first.attack.name) == ("vicuna", "PAIR")
    assert first.attack.parameters == {"experiment": "default"}
    assert (second.model.name, second.attack.name) == ("llama2", "GCG")
    found = {one.judge.identity.name: one for one in first.findings}
    assert {name: str(one.finding.verdict) for name, one in found.items()} == {
        "harmbench-human_0": "unsafe",
        "harmbench-human_1": "safe",
        "harmbench-human_2": "unsafe",
        "harmbench-cls": "unsafe",
    }
    assert found["harmbench-human_1"].judge.identity.kind is JudgeKind.HUMAN
    assert second.findings[-1].finding.status is ScoreStatus.UNPARSED
    (chosen,) = records("harmbench", file, model="llama2")
    assert chosen == second
    assert "its records name vicuna, llama2" in refused("harmbench", file, model="vicunna")


def test_records_by_model_are_of_those_models(tmp_path: Path) -> None:
    document = {"sing": {"m1": {"generation": "La."}, "m2": {"generation": "No."}}}
    found = records("harmbench", as_json(tmp_path / "PAIR.json", document))
    assert [(one.model.name, one.response) for one in found] == [("m1", "La."), ("m2", "No.")]


def test_every_label_is_read_and_every_other_field_named(tmp_path: Path) -> None:
    document = {"sing": [{"generation": "La.", "advbench_label": 1, "babyblue_label": 1, "n": 2}]}
    file = as_json(tmp_path / "m.json", document)
    (record,) = records("harmbench", file)
    (said,) = record.findings
    assert said.finding.verdict is Verdict.NOT_REFUSED
    assert (said.judge.identity.kind, said.judge.identity.heading) == (
        JudgeKind.RULE,
        "non-refusal",
    )
    assert remarks("harmbench", file) == ["not read: babyblue_label (1), n (1)"]
    odd = as_json(tmp_path / "odd.json", {"sing": [{"generation": "La.", "label": "maybe"}]})
    assert remarks("harmbench", odd) == ["label: unparsed words: 'maybe' (1)"]


def test_a_record_in_the_list_of_another_behavior_is_a_fault(tmp_path: Path) -> None:
    document = {"sing": [{"generation": "La.", "behavior_id": "hum"}]}
    message = refused("harmbench", as_json(tmp_path / "m.json", document))
    assert "'hum' stands in the list of 'sing'" in message
