"""The model stack and the device, as recorded with every run.

What must hold: nothing heavy is imported to find out (torch is asked only where a run has
already imported it), and a fact that cannot be had is left out.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch", "transformers", "accelerate", "bitsandbytes", "tokenizers", "safetensors", "pillow",
    "numpy",
)  # fmt: skip
_SECONDS = 10


def model_environment() -> dict[str, Any]:
    """Return versions of the model stack, and what is known of processor and GPUs."""
    facts: dict[str, Any] = {
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    if gpus := _gpus():
        facts["gpus"] = gpus
    facts |= _asked_of_torch()
    return {name: value for name, value in facts.items() if value}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpus() -> list[dict[str, str]]:
    """Ask ``nvidia-smi``, where there is one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    question = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            [program, *question], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    names = ("name", "memory", "driver")
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def _asked_of_torch() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    facts: dict[str, Any] = {"threads": torch.get_num_threads()}
    if torch.version.cuda is not None:
        facts["cuda"] = torch.version.cuda
    return facts
