"""Every table of the database, as SQLAlchemy Core metadata.

The migrations build these tables; a test holds metadata and migrated database alike on both
engines. What must hold:

- Rows are facts. Nothing here is updated or deleted by a step, but the counts and heartbeat of
  a run, a judge's watermark, the roll-up, and a body that is withheld.
- Both engines hold the same values: identity is 32 bytes, times are integers (microseconds
  since 1970, UTC; the views print them as ISO texts), yes and no are 1 and 0, JSON is canonical
  text (JSONB would reorder what is hashed), texts are escaped (:func:`lam3db.hashing.escape`).
- Every rule that can be a CHECK or a UNIQUE is one, by name.
- A body is NULL only where ``withheld_id`` names who withheld it and why; its digest stays.
"""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, UniqueConstraint

from lam3db.records import (
    FinishReason,
    IdentityKind,
    JudgeKind,
    RunKind,
    RunStatus,
    Stage,
    Verdict,
)
from lam3db.store import columns as _c
from lam3db.store import tables_rollup as _rollup  # noqa: F401 - its tables are ours too
from lam3db.store.columns import LARGEST, metadata
from lam3db.store.tables_copies import stored_copy
from lam3db.store.tables_review import review, review_item, review_part
from lam3db.store.tables_watch import issue, issue_event, issue_link, log_entry, withholding

__all__ = [
    "issue", "issue_event", "issue_link", "log_entry", "metadata", "review", "review_item",
    "review_part", "stored_copy", "withholding",
]  # fmt: skip

media = _c.table(
    "media",
    _c.identity(),
    *_c.digest("sha256"),
    UniqueConstraint("sha256"),
    _c.text("mime_type"),
    _c.integer("byte_count"),
    _c.integer("width"),
    _c.integer("height"),
    _c.reference("withholding", "withheld_id", null=True),
    _c.integer("created_at"),
    _c.rule("size", "byte_count > 0 AND width > 0 AND height > 0"),
)

behavior = _c.table(
    "behavior",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.text("text", null=True),
    _c.text("category"),
    *_c.flag("is_benign"),
    _c.reference("withholding", "withheld_id", null=True),
    _c.integer("created_at"),
    _c.rule("withheld", "(text IS NULL) = (withheld_id IS NOT NULL)"),
)

sample = _c.table(
    "sample",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    *_c.digest("input_digest"),
    _c.reference("behavior"),
    _c.json("messages", list, null=True),
    _c.text("prompt", null=True),
    _c.text("attack"),
    _c.json("attack_parameters", dict),
    _c.text("target", null=True),
    _c.json("metadata", dict),
    _c.reference("withholding", "withheld_id", null=True),
    _c.integer("created_at"),
    _c.rule(
        "withheld",
        "(messages IS NULL) = (withheld_id IS NOT NULL)"
        " AND (prompt IS NULL) = (withheld_id IS NOT NULL)",
    ),
    Index(None, "input_digest"),
    Index(None, "behavior_id"),
)

sample_media = _c.table(
    "sample_media",
    _c.reference("sample"),
    _c.integer("position"),
    _c.reference("media"),
    PrimaryKeyConstraint("sample_id", "position"),
    _c.rule("position", "position >= 0"),
    Index(None, "media_id"),
    rowid=False,
)

selection = _c.table(
    "selection",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.integer("sample_count"),
    _c.integer("created_at"),
    _c.rule("sample_count", "sample_count >= 0"),
)

selection_sample = _c.table(
    "selection_sample",
    _c.reference("selection"),
    _c.reference("sample"),
    _c.text("key"),
    _c.integer("position"),
    PrimaryKeyConstraint("selection_id", "sample_id"),
    UniqueConstraint("selection_id", "key"),
    UniqueConstraint("selection_id", "position"),
    _c.rule("position", "position >= 0"),
    Index(None, "sample_id"),
    rowid=False,
)

dataset = _c.table(
    "dataset",
    _c.identity(),
    _c.text("name"),
    _c.integer("version"),
    _c.reference("selection"),
    _c.text("source"),
    _c.text("licence"),
    _c.integer("created_at"),
    UniqueConstraint("name", "version"),
    UniqueConstraint("name", "selection_id"),
    _c.rule("name", "length(name) > 0"),
    _c.rule("version", "version >= 1"),
    Index(None, "selection_id"),
)

model_version = _c.table(
    "model_version",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.text("name"),
    _c.text("family"),
    _c.text("source"),
    _c.text("revision", null=True),
    *_c.word("identity_kind", IdentityKind),
    _c.text("declared", null=True),
    _c.json("manifest", dict),
    _c.integer("created_at"),
    _c.rule("name", "length(name) > 0"),
    Index(None, "name"),
)

config = _c.table(
    "config",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.json("value", dict),
    _c.text("dtype", null=True),
    _c.text("quantization", null=True),
    *_c.flag("do_sample", null=True),
    _c.number("temperature", null=True),
    _c.number("top_p", null=True),
    _c.integer("max_new_tokens", null=True),
    _c.integer("seed", null=True),
    _c.integer("created_at"),
)

environment = _c.table(
    "environment",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.json("value", dict),
    _c.integer("created_at"),
)

judge = _c.table(
    "judge",
    _c.identity(),
    *_c.digest(),
    UniqueConstraint("digest"),
    _c.text("name"),
    *_c.word("kind", JudgeKind),
    _c.text("version"),
    _c.json("spec", dict),
    _c.json("sees", list),
    _c.text("heading"),
    _c.integer("created_at"),
    _c.rule("name", "length(name) > 0"),
    Index(None, "name"),
)

judge_verdict = _c.table(
    "judge_verdict",
    _c.reference("judge"),
    *_c.word("verdict", Verdict),
    PrimaryKeyConstraint("judge_id", "verdict"),
    rowid=False,
)

judge_policy = _c.table(
    "judge_policy",
    _c.reference("judge"),
    _c.integer("version"),
    _c.number("threshold"),
    *_c.word("operator", (">", ">=")),
    _c.text("author"),
    _c.integer("created_at"),
    PrimaryKeyConstraint("judge_id", "version"),
    _c.finite("threshold"),
    _c.rule("version", "version >= 1"),
    rowid=False,
)

judge_progress = _c.table(
    "judge_progress",
    _c.reference("judge"),
    _c.integer("generation_id"),
    PrimaryKeyConstraint("judge_id"),
    _c.rule("generation_id", "generation_id >= 0"),
)

run = _c.table(
    "run",
    _c.identity(),
    *_c.uid(),
    *_c.word("kind", RunKind),
    *_c.word("status", RunStatus),
    _c.reference("model_version", null=True),
    _c.reference("config", null=True),
    _c.reference("selection", null=True),
    _c.reference("dataset", null=True),
    _c.reference("judge", null=True),
    _c.reference("environment"),
    _c.integer("replicates"),
    _c.integer("seed", null=True),
    _c.json("requested", dict),
    _c.json("effective", dict),
    _c.json("options", dict),
    _c.text("command"),
    _c.text("host"),
    _c.text("username"),
    _c.text("code_commit", null=True),
    *_c.flag("code_dirty", null=True),
    _c.integer("started_at"),
    _c.integer("heartbeat_at"),
    _c.integer("finished_at", null=True),
    _c.integer("planned_count"),
    _c.integer("new_count"),
    _c.integer("cached_count"),
    _c.integer("failed_count"),
    _c.rule("replicates", "replicates >= 1"),
    _c.rule(
        "counts",
        "planned_count >= 0 AND new_count >= 0 AND cached_count >= 0 AND failed_count >= 0",
    ),
    _c.rule("finished", "(status = 'running') = (finished_at IS NULL)"),
    _c.rule(
        "subject",
        "CASE kind WHEN 'generate' THEN model_version_id IS NOT NULL"
        " AND config_id IS NOT NULL AND selection_id IS NOT NULL"
        " WHEN 'judge' THEN judge_id IS NOT NULL ELSE 1 = 1 END",
    ),
    Index(None, "model_version_id", "config_id"),
)

REASONING = "reasoning IS NULL OR (reasoning_digest IS NOT NULL AND withheld_id IS NULL)"
"""A digest without its text: withheld with the answer, or left out of a bundle."""

generation = _c.table(
    "generation",
    _c.identity(),
    _c.reference("model_version"),
    _c.reference("config"),
    _c.reference("sample"),
    _c.integer("replicate"),
    _c.integer("variant"),
    _c.reference("run"),
    _c.reference("generation", "origin_id", null=True),
    _c.text("raw_text", null=True),
    _c.text("text", null=True),
    *_c.digest("text_digest"),
    *_c.word("finish_reason", FinishReason),
    _c.integer("prompt_tokens"),
    _c.integer("completion_tokens"),
    _c.number("latency_ms"),
    _c.integer("batch_size"),
    _c.reference("withholding", "withheld_id", null=True),
    _c.integer("created_at"),
    _c.optional_digest("reasoning_digest"),
    _c.text("reasoning", _c.rule("reasoning", REASONING), null=True),
    UniqueConstraint(
        "model_version_id",
        "config_id",
        "sample_id",
        "replicate",
        "variant",
        name="uq_generation_key",
    ),
    Index("ix_generation_variant", "variant", **_c.only("variant > 0")),
    _c.rule("index", "replicate >= 0 AND variant >= 0"),
    _c.rule("counts", "prompt_tokens >= 0 AND completion_tokens >= 0 AND batch_size >= 1"),
    _c.rule("latency_ms", f"latency_ms BETWEEN 0 AND {LARGEST}"),
    _c.rule(
        "withheld",
        "(text IS NULL) = (withheld_id IS NOT NULL)"
        " AND (raw_text IS NULL) = (withheld_id IS NOT NULL)",
    ),
)

finding = _c.table(
    "finding",
    _c.identity(),
    _c.reference("judge"),
    *_c.digest("subject_digest"),
    *_c.outcome(),
    _c.text("explanation", null=True),
    _c.text("raw_output", null=True),
    _c.reference("withholding", "withheld_id", null=True),
    UniqueConstraint("judge_id", "subject_digest", "replicate", "revision", name="uq_finding_key"),
    _c.rule("withheld", "withheld_id IS NULL OR (explanation IS NULL AND raw_output IS NULL)"),
)

finding_attribute = _c.table(
    "finding_attribute",
    _c.reference("finding"),
    _c.text("attribute"),
    _c.number("value"),
    PrimaryKeyConstraint("finding_id", "attribute"),
    _c.finite("value"),
    rowid=False,
)

score = _c.table(
    "score",
    _c.identity(),
    _c.reference("judge"),
    _c.reference("generation"),
    _c.reference("finding"),
    *_c.outcome(),
    UniqueConstraint("judge_id", "generation_id", "replicate", "revision", name="uq_score_key"),
    Index(None, "generation_id"),
    Index("ix_score_opinion", "replicate", **_c.only("replicate > 0")),
)

failure = _c.table(
    "failure",
    _c.identity(),
    *_c.uid(),
    _c.reference("run"),
    *_c.word("stage", Stage),
    _c.reference("sample", null=True),
    _c.reference("generation", null=True),
    _c.reference("judge", null=True),
    _c.integer("replicate"),
    _c.integer("attempt"),
    _c.text("error_class"),
    _c.text("message"),
    _c.text("fingerprint"),
    *_c.flag("retryable"),
    _c.integer("created_at"),
    _c.rule("index", "replicate >= 0 AND attempt >= 1"),
    _c.rule(
        "stage",
        "CASE stage WHEN 'generate' THEN generation_id IS NULL AND judge_id IS NULL"
        " ELSE sample_id IS NULL AND judge_id IS NOT NULL END",
    ),
    Index(None, "run_id"),
    Index(None, "judge_id", "generation_id"),
    Index(None, "sample_id"),
    Index(None, "fingerprint"),
)
