"""Configs refuse what they do not understand, with file, line and a near name."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lam3db.config import (
    JudgeConfig,
    RunConfig,
    RuntimeConfig,
    list_configs,
    load_judge_config,
    load_model_config,
    load_run_config,
    load_runtime_config,
    normalize_runtime,
)
from lam3db.config_files import read_document
from lam3db.errors import ConfigError, Lam3Error, NotFoundError
from lam3db.hashing import canonical_json
from lam3db.resources import shipped

MODEL = "name: m\nsource: /weights\n"
SECRET = "sk-q7Xw9ZkLmN3p"  # noqa: S105 - of no use anywhere


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes, name: str = "x.yaml") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def runtime_error(text: str | bytes, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load_runtime_config(write(text), overrides)
    return str(caught.value)


# --- the shipped files


def test_the_runtime_is_the_labs_table_and_nothing_else() -> None:
    raw = yaml.safe_load(shipped("configs", "runtime.yaml").read_text(encoding="utf-8"))
    assert raw == {
        "precision": "bf16",
        "device_map": "auto",
        "max_new_tokens": 256,
        "min_new_tokens": None,
        "do_sample": True,
        "temperature": 0.2,
        "top_p": 0.95,
        "seed": 42,
        "quantization": {"enabled": True, "compute_dtype": "bf16"},
    }
    loaded = load_runtime_config("runtime")
    assert loaded.changes == ()
    assert loaded.config.quantization.enabled
    assert loaded.config.min_new_tokens is None


@pytest.mark.parametrize("name", list_configs("models"))
def test_every_shipped_model_config_loads(name: str) -> None:
    assert load_model_config(name).name == name


@pytest.mark.parametrize("name", list_configs("judges"))
def test_every_shipped_judge_config_loads(name: str) -> None:
    assert load_judge_config(name).name == name


@pytest.mark.parametrize("name", list_configs("runs"))
def test_every_shipped_run_config_loads(name: str) -> None:
    run = load_run_config(name)
    assert load_runtime_config(run.runtime, settings=run.settings).config


def test_the_labs_run_names_its_models_and_judges() -> None:
    run = load_run_config("lab")
    assert run.models == ("llava-1.5-7b", "idefics2-8b")
    assert run.judges == ("detoxify-original", "refusal-gcg")
    assert {"llava-1.5-7b", "idefics2-8b", "demo-llava"} <= set(list_configs("models"))
    assert {"runtime", "runtime-demo"} <= set(list_configs("runtime"))


def test_demo_weights_are_found_from_any_folder() -> None:
    assert load_model_config("demo-llava").source == str(shipped("data", "demo", "llava"))


def test_loading_configs_imports_neither_models_nor_database() -> None:
    program = (
        "import sys; from lam3db.config import load_run_config; load_run_config('demo');"
        "print([m for m in ('torch', 'transformers', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


# --- names and places


def test_the_working_folder_comes_before_what_ships() -> None:
    write("name: mine\nsource: /mine\n", "configs/models/demo-llava.yaml")
    assert load_model_config("demo-llava").source == "/mine"
    assert load_model_config("demo-idefics2").name == "demo-idefics2"


def test_a_yml_file_and_a_name_taken_from_the_file() -> None:
    write("source: /weights\n", "configs/models/short.yml")
    assert load_model_config("short").name == "short"
    assert "short" in list_configs("models")


def test_a_shipped_file_may_be_named_by_its_path() -> None:
    assert load_run_config("configs/runs/demo.yaml") == load_run_config("demo")


def test_an_unknown_name_tells_what_is_near_and_where_was_looked() -> None:
    with pytest.raises(NotFoundError) as caught:
        load_model_config("demo-lava")
    assert "no model config 'demo-lava' in configs/models" in str(caught.value)
    assert "did you mean 'demo-llava'?" in str(caught.value)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "a/b", "nope.yaml"])
def test_what_is_neither_a_name_nor_a_yaml_file(name: str) -> None:
    with pytest.raises(NotFoundError):
        load_model_config(name)


def test_a_path_that_is_not_there_is_no_name_that_nobody_knows() -> None:
    with pytest.raises(NotFoundError, match=r"^there is no file configs/judges/nope\.yaml$"):
        load_judge_config("configs/judges/nope.yaml")


# --- faults of a file


def test_an_unknown_key_is_told_with_its_line_and_a_near_name() -> None:
    write("precision: bf16\n\ntemprature: 0.2\n", "configs/runtime.yaml")
    with pytest.raises(ConfigError) as caught:
        load_runtime_config("runtime")
    expected = "configs/runtime.yaml:3: unknown key 'temprature' - did you mean 'temperature'?"
    assert str(caught.value) == expected


def test_all_faults_are_told_at_once_in_the_order_of_the_lines() -> None:
    message = runtime_error(
        "torch_dtype: float16\nprecision: bf16\ntop_p: 2\nseed: 010\nsed: 1\n"
        "batch_size: many\nquantization:\n  bitz: 4\nmax_length: 9\n",
        ("temperature=hot", "oops", "seeed=1"),
    )
    assert message.startswith("10 faults")
    found = [line.strip().split(" ")[0] for line in message.splitlines()[1:]]
    lines = [f"x.yaml:{number}:" for number in (2, 3, 4, 5, 6, 8, 9)]
    assert found == [*lines, "--set:", "--set:", "--set:"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("temperature: 1e-3", "write 0.001"),
        ("temperature: '0.2'", "without quotes"),
        ("temperature: warm", "is not a number from 0"),
        ("temperature: -1", "is not a number from 0"),
        ("temperature: .inf", "not a number"),
        ("temperature: .nan", "not a number"),
        ("temperature: true", "is not a number"),
        ("temperature:", "nothing is written there"),
        ("temperature: [0.2]", "is not a number"),
        ("temperature: 1:30", "another base"),
        ("temperature: 1:30.5", "not a number"),
        ("do_sample: on", "write true"),
        ("do_sample: No", "write false"),
        ("do_sample: 1", "true or false"),
        ("do_sample: 'true'", "true or false"),
        ("greedy: 'yes'", "write true or false"),
        ("seed: 010", "another base"),
        (f"seed: 0x{'f' * 9000}", "nobody computes with"),
        (f"seed: {'9' * 5000}", "nobody computes with"),
        ("seed: 0o10", "is not a whole number"),
        ("seed: 42.0", "is not a whole number"),
        ("seed: 9007199254740992", "below 2\\*\\*53"),
        ("seed: -1", "from 0"),
        ("max_new_tokens: 0", "from 1"),
        ("batch_size: 0", "from 1, or auto"),
        ("batch_size: 2.5", "from 1, or auto"),
        ("top_p: 0", "above 0"),
        ("precision: 16", "is not fp32, fp16 or bf16"),
        ("precision: auto", "happens to be stored in"),
        ("quantization: 3", "write 4bit, 8bit or none"),
        ("quantization: gptq", "write 4bit, 8bit or none"),
        ("quantization: {bits: 8}", "without quantization.enabled"),
        ("quantization: {enabled: true, bits: 5}", "is not 4 or 8"),
        ("quantization: [4]", "write 4bit, 8bit or none"),
        ("max_length: 256", "counts the prompt"),
        ("num_beams: 4", "beams"),
        ("num_return_sequences: 2", "replicates"),
        ("revision: main", "configs/models"),
        ("trust_remote_code: true", "never allowed"),
        ("on: 1", "no name for a setting"),
        ("5: 1", "no name for a setting"),
        ("? [a]\n: 1", "no name for a setting"),
        ("<<: {seed: 1}", "merges are not taken"),
        ("seed: !!binary aGk=", "the tag"),
        ("seed: !!python/object/apply:os.system [x]", "unknown key|is not|the tag"),
        ("seed: !!int x", "another base"),
        ("seed: 1\nseed: 2", "given twice, first on line 1"),
        ("seed: 1\nseed: 1", "given twice, first on line 1"),
        ("seed:\t&x [1", "is not YAML"),
        ("a: 1\n\tb: 2", "a tab where YAML wants spaces"),
        ("seed: 1\n---\nseed: 2", "one file holds one config"),
        ("seed: *nobody", "is not YAML"),
        ("- seed", "found a list"),
        ("seed:1", "found the text"),
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("seed: \x07", "is not YAML"),
        (b"seed: 1\nname: \xff\n", "x.yaml:2: is not UTF-8"),
        ("[" * 5000, "32 levels deep"),
        ("{a: " * 100 + "1" + "}" * 100, "32 levels deep"),
        ("&a [*a]", "found a list"),
        ("a: &a [*a]", "too deep"),
        (b"# " + b"x" * (1 << 20), "larger than 1 MiB"),
        ("min_new_tokens: 64\nmax_new_tokens: 48", "above max_new_tokens: 48"),
        ("temperature: 0", "do_sample: false"),
    ],
)
def test_a_wrong_file_is_refused_with_a_reason(line: str | bytes, said: str) -> None:
    import re

    message = runtime_error(line)
    assert re.search(said, message), message
    assert message.count("\n") == 0, "one fault, one line"
    assert message.startswith("x.yaml")


def test_an_alias_bomb_ends_early() -> None:
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "too large" in runtime_error("\n".join(rows))


def test_a_small_alias_is_taken() -> None:
    write("name: x\nkind: k\nsettings: {a: &a [1, 2], b: *a}\n", "j.yaml")
    assert load_judge_config("j.yaml").settings == {"a": (1, 2), "b": (1, 2)}


def test_a_folder_and_an_unreadable_path() -> None:
    Path("d.yaml").mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        load_model_config("d.yaml")


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    write(b"\xef\xbb\xbfprecision: fp32\r\nseed: 7\r\n")
    assert load_runtime_config("x.yaml").config.seed == 7


def test_a_date_stays_the_text_it_is() -> None:
    write(MODEL + "revision: 2024-01-02\n")
    assert load_model_config("x.yaml").revision == "2024-01-02"


def test_a_number_where_a_text_belongs_is_told_how_to_write_it() -> None:
    write(MODEL + "revision: 1234567\n")
    with pytest.raises(ConfigError, match=r"x.yaml:3: revision: 1234567 is not text; put it in q"):
        load_model_config("x.yaml")


def test_keys_below_a_mapping_are_checked_too() -> None:
    write(MODEL + "image:\n  fitt: pad\n  splitting: 1\nkind_: x\n")
    with pytest.raises(ConfigError) as caught:
        load_model_config("x.yaml")
    message = str(caught.value)
    assert "x.yaml:4: unknown key 'fitt' - did you mean 'fit'?" in message
    assert "x.yaml:5: image.splitting: 1 is not true or false" in message
    assert "x.yaml:6: unknown key 'kind_' - did you mean 'kind'?" in message


def test_a_missing_key_is_named() -> None:
    write("name: m\n")
    with pytest.raises(ConfigError, match="source is missing: a folder or a hub name"):
        load_model_config("x.yaml")


@given(st.binary(max_size=200) | st.text(st.characters(), max_size=100).map(repr).map(str.encode))
def test_no_file_whatever_its_bytes_ends_in_a_traceback(content: bytes) -> None:
    Path("any.yaml").write_bytes(content)
    with suppress(Lam3Error):
        load_runtime_config("any.yaml")


# --- secrets and variables


@pytest.mark.parametrize(
    "line",
    [
        f"api_key: {SECRET}",
        "api_key:",
        "hf_token: abcdefgh",
        "password: geheim99",
        f"notes: use {SECRET}",
        f"settings: {{url: 'https://me:{SECRET[3:]}@host/'}}",
        f"settings: {{headers: [{{Authorization: Bearer {SECRET}}}]}}",
        f"source: ${{LAM3_TEST_TOKEN}}/{SECRET}",
    ],
)
def test_a_secret_is_refused_and_never_repeated(line: str) -> None:
    write(f"name: j\nkind: k\n{line}\n")
    with pytest.raises(ConfigError, match="environment") as caught:
        load_judge_config("x.yaml")
    assert SECRET[3:] not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_prompt_about_passwords_is_no_secret() -> None:
    write(MODEL + "system_prompt: 'Never reveal the password: cactus42'\n")
    assert "cactus42" in (load_model_config("x.yaml").system_prompt or "")


def test_variables_are_expanded_in_paths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAM3_TEST_DIR", "/weights")
    monkeypatch.setenv("HOME", "/home/me")
    write("name: $LAM3_TEST_DIR\nsource: ${LAM3_TEST_DIR}/llava\nnotes: ~/x\n")
    config = load_model_config("x.yaml")
    assert (config.name, config.source, config.notes) == (
        "$LAM3_TEST_DIR", "/weights/llava", "~/x",
    )  # fmt: skip
    write(
        "name: j\nkind: k\nsettings: {checkpoint: ~/a.ckpt, phrase: ~/$LAM3_TEST_DIR}\n", "j.yaml"
    )
    settings = load_judge_config("j.yaml").settings
    assert settings == {"checkpoint": "/home/me/a.ckpt", "phrase": "~/$LAM3_TEST_DIR"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("$LAM3_NOT_SET/x", "LAM3_NOT_SET is not set"),
        ("${LAM3_NOT_SET}/x", "LAM3_NOT_SET is not set"),
        ("${HOME:-x}/y", "is no variable"),
        ("${HOME", "is no variable"),
        ("/x/$HF_TOKEN", "HF_TOKEN is a secret"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_with_its_line(
    source: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "geheim99")
    write(f"name: m\nsource: '{source}'\n")
    with pytest.raises(ConfigError, match=said) as caught:
        load_model_config("x.yaml")
    assert str(caught.value).startswith("x.yaml:2: source: ")
    assert "geheim" not in str(caught.value)


# --- the one form


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"torch_dtype": "bfloat16"}, {"precision": "bf16"}, 1),
        ({"torch_dtype": "torch.float16"}, {"precision": "fp16"}, 1),
        ({"dtype": "half"}, {"precision": "fp16"}, 1),
        ({"precision": "float32"}, {"precision": "fp32"}, 1),
        ({"precision": "FP32"}, {"precision": "fp32"}, 1),
        ({"precision": "fp32"}, {"precision": "fp32"}, 0),
        ({"bf16": True}, {"precision": "bf16"}, 1),
        ({"fp16": True, "bf16": False}, {"precision": "fp16"}, 2),
        ({"load_in_4bit": True}, {"quantization": {"enabled": True, "bits": 4}}, 1),
        ({"load_in_8bit": True}, {"quantization": {"enabled": True, "bits": 8}}, 1),
        (
            {"load_in_8bit": True, "load_in_4bit": False},
            {"quantization": {"enabled": True, "bits": 8}},
            2,
        ),
        ({"load_in_4bit": False}, {"quantization": {"enabled": False}}, 1),
        ({"quantization": "4bit"}, {"quantization": {"enabled": True, "bits": 4}}, 1),
        ({"quantization": "8-bit"}, {"quantization": {"enabled": True, "bits": 8}}, 1),
        ({"quantization": 8}, {"quantization": {"enabled": True, "bits": 8}}, 1),
        ({"quantization": "fp4"}, {"quantization": {"enabled": True, "quant_type": "fp4"}}, 1),
        ({"quantization": "none"}, {"quantization": {"enabled": False}}, 1),
        ({"quantization": False}, {"quantization": {"enabled": False}}, 1),
        ({"quantization": True}, {"quantization": {"enabled": True}}, 1),
        ({"quantization_enabled": True}, {"quantization": {"enabled": True}}, 1),
        ({"quantization.enabled": True}, {"quantization": {"enabled": True}}, 0),
        (
            {
                "load_in_4bit": True,
                "bnb_4bit_compute_dtype": "bfloat16",
                "bnb_4bit_quant_type": "NF4",
                "bnb_4bit_use_double_quant": True,
            },
            {
                "quantization": {
                    "enabled": True,
                    "bits": 4,
                    "compute_dtype": "bf16",
                    "quant_type": "nf4",
                    "double_quant": True,
                }
            },
            4,
        ),
        (
            {"quantization_config": {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}},
            {"quantization": {"enabled": True, "bits": 4, "compute_dtype": "fp32"}},
            2,
        ),
        ({"compute_dtype": "fp16"}, {"quantization": {"compute_dtype": "fp16"}}, 1),
        ({"max_tokens": 9}, {"max_new_tokens": 9}, 1),
        ({"temp": 0.5}, {"temperature": 0.5}, 1),
        ({"top-p": 0.5}, {"top_p": 0.5}, 1),
        ({"topp": 0.5}, {"top_p": 0.5}, 1),
        ({"nucleus": 0.5}, {"top_p": 0.5}, 1),
        ({"top_k": 0}, {"top_k": None}, 1),
        ({"random_seed": 7}, {"seed": 7}, 1),
        ({"greedy": True}, {"do_sample": False}, 1),
        ({"greedy": False}, {"do_sample": True}, 1),
        ({"sampling": False}, {"do_sample": False}, 1),
        ({"sampling": {"temp": 0.5, "seed": 3}}, {"temperature": 0.5, "seed": 3}, 2),
        ({"generation": {"decoding": {"top_p": 0.5}}}, {"top_p": 0.5}, 1),
        ({"device": "cuda:1"}, {"device_map": "cuda:1"}, 1),
        ({"device": 0}, {"device_map": "cuda:0"}, 1),
        ({"num_beams": 1}, {}, 1),
        ({"torch_dtype": "bfloat16", "precision": "bf16"}, {"precision": "bf16"}, 1),
        ({"temp": 1, "temperature": 1.0}, {"temperature": 1.0}, 1),
    ],
)
def test_old_spellings_come_to_the_one_form_and_are_told(
    old: dict[str, Any], new: dict[str, Any], told: int
) -> None:
    config, changes = normalize_runtime(old)
    assert config == RuntimeConfig.model_validate(new)
    assert len(changes) == told, changes
    assert all(" -> " in change for change in changes)


def test_what_is_told_is_a_sentence() -> None:
    changes = normalize_runtime({"torch_dtype": "bfloat16", "load_in_4bit": True}).changes
    assert changes == (
        "torch_dtype: bfloat16 -> precision: bf16",
        "load_in_4bit: true -> quantization.enabled: true, quantization.bits: 4",
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"precision": "bf16", "torch_dtype": "float16"},
        {"bf16": True, "fp16": True},
        {"precision": "bf16", "bf16": False},
        {"load_in_4bit": True, "load_in_8bit": True},
        {"quantization": {"enabled": False}, "load_in_4bit": True},
        {"quantization": {"enabled": False, "load_in_4bit": True}},
        {"quantization": {"enabled": True, "bits": 8}, "load_in_4bit": True},
        {"quantization": "4bit", "load_in_4bit": False},
        {"quantization": "none", "load_in_8bit": True},
        {"greedy": True, "do_sample": True},
        {"greedy": True, "sampling": True},
        {"temperature": 0.2, "temp": 0.3},
        {"temperature": 0.2, "sampling": {"temperature": 0.3}},
        {"max_new_tokens": 5, "max_tokens": 6},
        {"compute_dtype": "fp16", "quantization": {"compute_dtype": "bf16"}},
        {"device": "cpu", "device_map": "auto"},
    ],
)
def test_contradictions_are_refused_in_either_order(raw: dict[str, Any]) -> None:
    for one in (raw, dict(reversed(raw.items()))):
        with pytest.raises(ConfigError, match="contradicts"):
            normalize_runtime(one)


def test_a_contradiction_names_both_lines() -> None:
    message = runtime_error("precision: bf16\nseed: 1\ntorch_dtype: float16\n")
    assert message == "x.yaml:3: torch_dtype: float16 contradicts precision: bf16 (line 1)"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "precision": st.sampled_from(["fp32", "fp16", "bf16"]),
            "seed": st.integers(0, 2**53 - 1),
            "temperature": st.floats(0.01, 2),
            "top_k": st.none() | st.integers(1, 100),
            "do_sample": st.booleans(),
            "quantization": st.fixed_dictionaries(
                {"enabled": st.booleans()}, optional={"bits": st.sampled_from([4, 8])}
            ),
        },
    )
)
def test_the_one_form_is_left_alone(raw: dict[str, Any]) -> None:
    config, changes = normalize_runtime(raw)
    assert changes == ()
    again, changes = normalize_runtime(config.model_dump())
    assert (again, changes) == (config, ())


# --- one setting at a time


def test_a_setting_of_the_command_line_stands_above_the_file() -> None:
    words = ["temperature=0.7", "quantization.enabled=false", "torch_dtype=float16", "seed=7"]
    config, changes = load_runtime_config("runtime", words)
    assert (config.temperature, config.precision, config.seed) == (0.7, "fp16", 7)
    assert not config.quantization.enabled
    assert config.quantization.compute_dtype == "bf16"
    assert changes == ("torch_dtype: float16 -> precision: fp16",)


def test_a_runs_settings_stand_between_file_and_command_line() -> None:
    settings = {"seed": 1, "top_p": 0.5, "quantization": {"bits": 8}}
    config = load_runtime_config("runtime", ["seed=2"], settings).config
    assert (config.seed, config.top_p, config.temperature) == (2, 0.5, 0.2)
    assert (config.quantization.enabled, config.quantization.bits) == (True, 8)


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("temperature=1", "temperature", 1.0),
        ("temperature=1e-3", "temperature", 0.001),
        ("do_sample=False", "do_sample", False),
        ("min_new_tokens=null", "min_new_tokens", None),
        ("min_new_tokens=none", "min_new_tokens", None),
        ("batch_size=auto", "batch_size", "auto"),
        ("batch_size=8", "batch_size", 8),
        ("device_map=cuda:1", "device_map", "cuda:1"),
        ("greedy=true", "do_sample", False),
        (" seed = 5 ", "seed", 5),
    ],
)
def test_a_word_is_read_as_its_setting_wants_it(word: str, name: str, value: object) -> None:
    assert getattr(load_runtime_config("runtime", [word]).config, name) == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["temperature"], "write key=value"),
        (["=3"], "write key=value"),
        (["temprature=1"], "did you mean 'temperature'"),
        (["temperature=hot"], "is not a number"),
        (["temperature=nan"], "is not a number"),
        (["temperature="], "nothing is written"),
        (["top_p= "], "nothing is written"),
        (["do_sample=1"], "true or false"),
        (["seed=1", "seed=2"], "given twice"),
        (["quantization.bitz=4"], "unknown key"),
        (["min_new_tokens=300"], "above max_new_tokens: 256"),
        (["temperature=0"], "do_sample: false"),
    ],
)
def test_a_wrong_word_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_runtime_config("runtime", words)
    assert str(caught.value).startswith("--set")


# --- runs


def test_a_run_names_what_is_there() -> None:
    write(
        "models: [demo-lava, demo-llava, demo-llava]\ndataset: d\nruntime: runtme\n"
        "judges:\n  - nobody\nsettings: {temprature: 1, min_new_tokens: 300}\nreplicates: 0\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_run_config("x.yaml")
    found = [line.strip().split(": ", 1) for line in str(caught.value).splitlines()[1:]]
    assert [place for place, _ in found] == [
        "x.yaml:1", "x.yaml:1", "x.yaml:3", "x.yaml:5", "x.yaml:6", "x.yaml:7",
    ]  # fmt: skip
    assert "did you mean 'demo-llava'?" in str(caught.value)
    assert "did you mean 'runtime'?" in str(caught.value)


# --- frozen


def test_a_config_never_changes_and_has_a_hash() -> None:
    write("name: j\nkind: k\nsettings: {a: {b: [1, {c: 2}]}, d: true}\n")
    config = load_judge_config("x.yaml")
    assert hash(config) == hash(load_judge_config("x.yaml"))
    with pytest.raises(ValidationError):
        config.name = "other"  # type: ignore[misc]
    settings: Any = config.settings
    for change in (
        lambda: settings.update(a=1),
        lambda: settings.pop("a"),
        lambda: settings.__setitem__("a", 1),
        settings["a"].clear,
        lambda: settings["a"].setdefault("z", 1),
        lambda: settings["a"]["b"][1].__delitem__("c"),
    ):
        with pytest.raises(TypeError, match="never changes"):
            change()
    assert canonical_json(config.settings) == '{"a":{"b":[1,{"c":2}]},"d":true}'


def test_settings_are_not_shared_with_their_maker() -> None:
    raw = {"a": [1]}
    config = JudgeConfig(name="j", kind="k", settings=raw)
    raw["a"].append(2)
    raw["b"] = []
    assert config.settings == {"a": (1,)}


def test_a_frozen_config_can_be_copied_and_sent() -> None:
    config = RunConfig(models=("m",), dataset="d", settings={"a": {"b": [1]}})
    assert copy.deepcopy(config) == config
    assert config.model_copy(update={"limit": 3}).settings == config.settings
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own bytes
    assert RunConfig.model_validate(config.model_dump()) == config
    assert hash(RunConfig(models=("m",), dataset="d")) == hash(
        RunConfig(models=("m",), dataset="d")
    )


def test_lines_are_known_for_every_entry() -> None:
    write("a:\n  b:\n    - 1\n    - {c: 2}\n")
    lines = read_document(Path("x.yaml"), "x.yaml").faults.lines
    assert lines == {
        ("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1): 4, ("a", "b", 1, "c"): 4,
    }  # fmt: skip


@pytest.mark.parametrize("day", ["2026-13-01", "soon", "20261231.5", "5"])
def test_a_day_that_is_none_is_told(tmp_path: Path, day: str) -> None:
    path = tmp_path / "j.yaml"
    path.write_text(f"kind: refusal\nends_on: {day}\n")
    with pytest.raises(ConfigError, match=r"ends_on.*2026-12-31"):
        load_judge_config(path)


def test_null_leaves_a_sampling_setting_to_the_service(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("temperature: null\ntop_p: ~\n")
    config = load_runtime_config(file, ["seed=null"]).config
    assert (config.temperature, config.top_p, config.seed) == (None, None, None)
