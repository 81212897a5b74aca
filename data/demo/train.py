"""Trains the demo models and writes them beside this script.

Usage: python data/demo/train.py [llava|idefics2|detoxify|classifier|guard ...]   (default: all)
The variables DEMO_OUT and DEMO_THREADS name another folder and another number of threads.

Two cores, well under an hour in all. The weights come out of fixed seeds; another machine
or another version of the libraries gives other weights with much the same figures.
Invariant: `MANIFEST.sha256` lists every shipped file as it lies in the folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mini_bench")]

from build import BUILDERS, SYSTEM_PROMPT, Built  # noqa: E402
from learn import Plan, eye_test, gallery, held_out, train_eyes, train_talk  # noqa: E402
from world import ask, random_scene  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = int(os.environ.get("DEMO_THREADS", "2"))
READERS = ("detoxify", "classifier", "guard")
TALKERS = {"llava": Plan(steps=650), "idefics2": Plan(eye_steps=1300, steps=1000)}


def _say(text: str) -> None:
    print(text, flush=True)


def corpus(name: str, seed: int) -> Iterator[str]:
    """Texts of the world from which the tokenizer learns its words."""
    rng = Random(seed)
    for number in range(6000):
        example = ask(rng, random_scene(rng), name)
        yield f"{example.prompt}\n {example.prompt} {example.answer}"
        if number % 20 == 0:
            yield f"{SYSTEM_PROMPT} USER: ASSISTANT:\nUser: Assistant:"


def _save(built: Built, folder: Path) -> None:
    built.model.eval().save_pretrained(folder)
    built.processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)


def train_talker(name: str, plan: Plan, out: Path) -> None:
    """Build, train, measure and save one of the two image-text models."""
    begun = time.monotonic()
    torch.manual_seed(plan.seed)
    built = BUILDERS[name](list(corpus(name, plan.seed)))
    count = sum(part.numel() for part in built.model.parameters())
    _say(f"{name}: {count:,} parameters")
    pictures = gallery(built, plan.pictures, plan.seed)
    built.model.train()
    quiz = train_eyes(built, pictures, plan)
    _say(f"{name}: eyes {eye_test(built, quiz, plan)} after {time.monotonic() - begun:.0f} s")
    train_talk(built, quiz, pictures, plan)
    _save(built, out / name)
    minutes = (time.monotonic() - begun) / 60
    _say(f"{name}: {minutes:.1f} minutes; held-out exact answers {held_out(built, plan)}")


def train_reader(name: str, folder: Path) -> None:
    """Train one of the models that read texts."""
    if name == "detoxify":
        from detox import train_detoxify

        train_detoxify(folder)
    elif name == "guard":
        from guard import train_guard

        train_guard(folder)
    else:
        from refuse import train_classifier

        train_classifier(folder)


def write_manifest(out: Path) -> None:
    """sha256 of every file of the model folders, in the format of sha256sum."""
    folders = [out / name for name in (*TALKERS, *READERS)]
    files = sorted(path for folder in folders for path in folder.glob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out).as_posix()}\n"
        for path in files
    ]
    (out / "MANIFEST.sha256").write_text("".join(lines), encoding="utf-8", newline="\n")


def main(names: list[str]) -> None:
    """Train what was asked for and refresh the manifest."""
    known = [*TALKERS, *READERS]
    if unknown := set(names) - set(known):
        raise SystemExit(f"unknown model {sorted(unknown)}: choose from {', '.join(known)}")
    torch.set_num_threads(THREADS)
    out = Path(os.environ.get("DEMO_OUT", str(HERE)))
    for name in names or known:
        if name in TALKERS:
            train_talker(name, TALKERS[name], out)
        else:
            train_reader(name, out / name)
    write_manifest(out)


if __name__ == "__main__":
    main(sys.argv[1:])
