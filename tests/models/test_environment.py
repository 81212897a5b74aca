"""The environment names what a result may hang on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
import transformers

from lam3db.models import environment
from lam3db.models.environment import model_environment

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_versions_and_processor() -> None:
    facts = model_environment()
    assert facts["packages"]["transformers"] == transformers.__version__
    assert facts["packages"]["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cores"] > 0
    json.dumps(facts)


def test_gpus_are_read_from_the_drivers_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 570.1'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = {"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "570.1"}
    assert model_environment()["gpus"] == [expected]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert "gpus" not in model_environment()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert environment._gpus() == []
