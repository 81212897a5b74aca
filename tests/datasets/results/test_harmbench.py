"""HarmBench completions: labels 1 and 0, and -1, which is neither."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, only, records, refused

from lam3db.datasets.load import Options
from lam3db.datasets.published.load import load_published
from lam3db.records import ScoreStatus, Verdict, text_of

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
