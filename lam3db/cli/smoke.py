"""``lam3db smoke``: one image through each model, before a night's work is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from lam3db.pipeline.smoke import SmokeResult

MIB = 1024 * 1024


def smoke(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names of model configs; the demo models if none.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Name of a runtime config, or a YAML file.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change one setting: --set precision=fp32.")
    ] = None,
    db: Db = None,
) -> None:
    """Load models, let each answer one image, and say how fast and with which settings."""
    from lam3db.cli.generate import tell
    from lam3db.cli.progress import Bar
    from lam3db.config import load_model_config, load_runtime_config
    from lam3db.pipeline.smoke import smoke as do
    from lam3db.store.engine import open_store

    chosen = runtime or ("runtime" if models else "runtime-demo")
    loaded = load_runtime_config(chosen, settings or [])
    tell(loaded.changes)
    configs = [load_model_config(name) for name in models or ("demo-llava", "demo-idefics2")]
    with open_store(db, mode="write") as store, Bar() as bar:
        results = [do(store, config, loaded.config, bar) for config in configs]
    for result in results:
        show(result)


def show(result: SmokeResult) -> None:
    """Print one model's figures."""
    import json

    from lam3db.report.text import safe_text

    memory = f"{result.memory_bytes / MIB:.0f} MiB resident at most"
    if result.gpu_memory_bytes is not None:
        memory += f", {result.gpu_memory_bytes / MIB:.0f} MiB on the GPU at most"
    answer = result.answer
    echo(f"{result.model}  run {result.run_uid}")
    echo(f"  loaded in   {result.load_seconds:.2f} s")
    echo(
        f"  answered    {answer.completion_tokens} tokens in {result.answer_seconds:.2f} s "
        f"({result.tokens_per_second:.1f} tokens/s, prompt {answer.prompt_tokens} tokens)"
    )
    echo(f"  memory      {memory}")
    echo(f"  settings    {json.dumps(result.effective, sort_keys=True)}")
    echo(f"  options     {json.dumps(result.options, sort_keys=True, default=str)}")
    echo(f"  answer      {safe_text(answer.text)}")
