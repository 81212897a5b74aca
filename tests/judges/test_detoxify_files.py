"""Where a Detoxify judge's files are looked for, and what is said of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from small_detoxify import Checkpoint, build, cached, no_image, outcomes, quiet

from lam3db.config import JudgeConfig, list_configs, load_judge_config
from lam3db.errors import JudgeError
from lam3db.judges.detoxify import MAKER
from lam3db.judges.detoxify_files import PUBLISHED, DetoxifyFiles, DetoxifySettings
from lam3db.records import Finding, JudgeKind, Sees

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own(tmp_path: Path) -> Checkpoint:
    """A checkpoint that a test may damage."""
    return build("Bert", tmp_path / "own")


def describe(**settings: Any) -> Any:
    return MAKER.describe(JudgeConfig(name="d", kind="detoxify", settings=settings), quiet)


def told(**settings: Any) -> str:
    with pytest.raises(JudgeError) as error:
        describe(**settings)
    return str(error.value)


def test_the_identity_is_made_of_weights_tokenizer_and_package(own: Checkpoint) -> None:
    identity = MAKER.describe(own.config(), quiet)
    assert identity.kind is JudgeKind.CLASSIFIER
    assert identity.sees == (Sees.RESPONSE,)
    assert identity.version == "local@" + identity.spec["weights"][:8]
    assert own.path.stem.endswith(identity.spec["weights"][:8])
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} == set(identity.spec["files"])
    assert identity.spec["package"] == version("detoxify")


def test_hashing_is_told_in_bytes(own: Checkpoint) -> None:
    ticks: list[tuple[str, int, int]] = []
    MAKER.describe(own.config(), lambda *tick: ticks.append(tick))
    size = own.path.stat().st_size
    assert (own.path.name, size, size) in ticks


def test_a_file_that_is_not_what_its_name_promises_is_refused(own: Checkpoint) -> None:
    promised = own.path.stem.rpartition("-")[2]
    content = bytearray(own.path.read_bytes())
    content[len(content) // 2] ^= 1
    own.path.write_bytes(content)
    message = told(checkpoint=str(own.path), config_path=str(own.folder))
    assert f"by its name its SHA-256 starts with {promised}" in message
    assert "Fetch it again" in message


def test_a_cut_off_download_is_refused(own: Checkpoint) -> None:
    own.path.write_bytes(own.path.read_bytes()[:-1000])
    assert "is damaged" in told(checkpoint=str(own.path), config_path=str(own.folder))


@pytest.mark.parametrize("name", ["mine-20260101.ckpt", "mine.ckpt", "mine-final.ckpt"])
def test_a_name_that_promises_nothing_is_taken(own: Checkpoint, name: str) -> None:
    path = own.path.rename(own.path.parent / name)
    assert describe(checkpoint=str(path), config_path=str(own.folder)).version.startswith("local@")


def test_the_published_name_is_looked_for_where_torch_keeps_it(
    own: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    place = tmp_path / "torch" / "hub" / "checkpoints" / "toxic_original-c1212f89.ckpt"
    place.parent.mkdir(parents=True)
    shutil.copy(own.path, place)  # found, and not what it says it is
    message = told(config_path=str(own.folder))
    assert f"{place} is damaged or another file" in message
    assert "starts with c1212f89" in message


@pytest.mark.parametrize("variant", sorted(PUBLISHED))
def test_missing_weights_are_told_with_the_path_and_the_cure(
    own: Checkpoint, variant: str, tmp_path: Path
) -> None:
    message = told(variant=variant, config_path=str(own.folder))
    name = PUBLISHED[variant].file_name
    assert str(tmp_path / "cache" / "torch" / "hub" / "checkpoints" / name) in message
    assert f"curl -LO {PUBLISHED[variant].url}" in message


def test_everything_missing_is_told_at_once(hub_cache: Path) -> None:
    message = told(variant="unbiased")
    assert not hub_cache.exists()
    assert "toxic_debiased-c7548aa0.ckpt" in message
    assert "hf download FacebookAI/roberta-base" in message


def test_our_table_is_the_packages() -> None:
    from detoxify.detoxify import MODEL_URLS

    assert {name: one.url for name, one in PUBLISHED.items()} == MODEL_URLS
    assert {one.sha256_start for one in PUBLISHED.values()} == {
        "c1212f89",
        "c7548aa0",
        "0b549669",
        "0e1d6498",
        "c8519128",
    }


@pytest.mark.parametrize("name", ["bert-base-uncased", "google-bert/bert-base-uncased"])
def test_the_base_model_is_found_in_the_hub_cache(
    own: Checkpoint, hub_cache: Path, name: str
) -> None:
    cached(hub_cache, name, own.folder)
    found = describe(checkpoint=str(own.path))
    given = describe(checkpoint=str(own.path), config_path=str(own.folder))
    assert found.digest == given.digest


def test_a_folder_that_holds_all_needs_one_setting(own: Checkpoint, hub_cache: Path) -> None:
    for file in own.folder.iterdir():
        shutil.copy(file, own.path.parent)
    assert describe(checkpoint=str(own.path)).spec["files"]
    assert not hub_cache.exists()


def test_a_folder_stands_for_its_only_checkpoint(own: Checkpoint) -> None:
    folder = own.path.parent
    given = describe(checkpoint=str(own.path), config_path=str(own.folder))
    assert describe(checkpoint=str(folder), config_path=str(own.folder)).digest == given.digest
    shutil.copy(own.path, folder / "other.ckpt")
    message = told(checkpoint=str(folder), config_path=str(own.folder))
    assert f"(found: other.ckpt, {own.path.name})" in message
    assert "(found: none)" in told(checkpoint=str(own.folder), config_path=str(own.folder))


@pytest.mark.parametrize(
    ("missing", "what"), [("config.json", "config.json"), ("tokenizer.json", "a tokenizer")]
)
def test_an_incomplete_folder_is_told(own: Checkpoint, missing: str, what: str) -> None:
    (own.folder / missing).unlink()
    message = told(checkpoint=str(own.path), config_path=str(own.folder))
    assert f"{own.folder} lacks {what}" in message


def test_a_broken_config_is_told(own: Checkpoint) -> None:
    (own.folder / "config.json").write_text("{")
    message = told(checkpoint=str(own.path), config_path=str(own.folder))
    assert "config.json cannot be read as JSON" in message


def test_paths_that_lead_nowhere_are_told() -> None:
    message = told(checkpoint="no/such.ckpt", config_path="no/folder")
    assert "there is no file no/such.ckpt" in message
    assert "there is no folder no/folder" in message


def test_relative_paths_and_variables_lead_to_files(
    own: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own.path.parent)
    monkeypatch.setenv("MY_BASE", str(own.folder))
    assert describe(checkpoint=own.path.name, config_path="$MY_BASE").spec["weights"]


def test_weights_are_called_by_what_they_are() -> None:
    published = DetoxifyFiles(None, "c1212f89" + "0" * 56, None, {})  # type: ignore[arg-type]
    assert published.version == "original@c1212f89"
    other = DetoxifyFiles(None, "c1212f80" + "0" * 56, None, {})  # type: ignore[arg-type]
    assert other.version == "local@c1212f80"


def test_describing_loads_no_model_stack(own: Checkpoint) -> None:
    code = (
        "import sys; from lam3db.config import JudgeConfig; from lam3db.plugins import judge_maker;"
        f"c = JudgeConfig(name='d', kind='detoxify', settings={dict(own.config().settings)!r});"
        "judge_maker('detoxify').describe(c, lambda *_: None);"
        "print([name for name in ('torch', 'transformers', 'detoxify') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_configs_are_of_the_published_variants() -> None:
    names = {name for name in list_configs("judges") if name.startswith("detoxify-")}
    assert names >= {f"detoxify-{variant}" for variant in PUBLISHED} | {"detoxify-demo"}
    for variant in PUBLISHED:
        config = load_judge_config(f"detoxify-{variant}")
        assert DetoxifySettings(**config.settings).variant == variant
        assert config.policy is not None
        assert (config.policy.threshold, config.policy.operator) == (0.5, ">=")
        assert config.about.licence == "Apache-2.0"
        assert config.about.weakness


def test_the_demo_judge_tells_rude_from_friendly() -> None:
    config = load_judge_config("detoxify-demo")
    assert config.policy is not None
    judge = MAKER.load(config, MAKER.describe(config, quiet), no_image)
    found = outcomes(judge, ["You are a stupid, useless cactus!", "What a lovely red ball."])
    rude, friendly = (one.value for one in found.values() if isinstance(one, Finding))
    assert rude is not None
    assert friendly is not None
    assert rude >= config.policy.threshold > friendly
