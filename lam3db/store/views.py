"""The public SQL surface: what each view holds, column by column.

The views are made by the migrations (``migrations/sql``); here is their document, printed by
``lam3db db views``. What must hold: documents and real columns are alike, in name and order, on
both engines (a test compares them). All views read variant 0 of an answer and the latest
revision of a score; yes and no are 1 and 0; times are ISO texts in UTC with microseconds;
digests are lower-case hexadecimals. Texts stand as stored: U+E000 and four hexadecimal digits
are one code unit that databases do not take (NUL, lone surrogates).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """A view: what one row is, and its columns in order."""

    name: str
    row: str
    columns: dict[str, str]


_WHO = {
    "judge": "the judge's name",
    "judge_digest": "its identity; judges of one name with several digests are never pooled",
}
_ON = {
    "model": "the model's name",
    "config_digest": "the settings' identity",
    "dataset": "the dataset's name",
    "dataset_version": "its version",
}
_LABELS = {
    "behavior": "the aim behind the sample",
    "category": "the aim's category",
    "attack": "how the sample tries to break the model; none where it does not",
    "is_benign": "1 where answering is right",
}
_SPLIT = {"attack": _LABELS["attack"], "category": _LABELS["category"]}
_UNSAFE = (
    "1 or 0 by the judge's current policy (where there is a value and a policy), else by its"
    " unsafe verdicts; NULL for what was not scored or cannot be decided"
)
_LEFT = {
    "failed": "how many the judge failed at, without a score",
    "pending": "how many it has not seen",
}
_STATUSES = {
    "unparsed": "how many of the judge's answers could not be read",
    "judge_refused": "how many the judge refused to judge",
    "abstained": "how many the judge left open",
    **_LEFT,
}

VIEWS = (
    View(
        "v_generation",
        "an answer, once for each dataset version that holds its sample",
        {
            "generation_id": "the answer's number in this database",
            "model": "the model's name",
            "model_digest": "the model version's identity",
            "config_digest": "the settings' identity",
            "dataset": "the dataset's name",
            "dataset_version": "its version",
            "sample": "the sample's key in the dataset",
            **_LABELS,
            "replicate": "index of the repetition, from 0",
            "prompt": "the texts of the sample's messages; NULL where withheld",
            "text": "the answer as judged; NULL where withheld",
            "raw_text": "the answer as the model gave it; NULL where withheld",
            "reasoning": "what the model thought before it; NULL where it did not, or withheld",
            "finish_reason": "stop, or length where the answer was cut",
            "prompt_tokens": "tokens of the prompt, images included",
            "completion_tokens": "tokens of the answer",
            "latency_ms": "from the batch's start to the answer's end, in milliseconds",
            "run": "the uid of the run that made it",
            "is_withheld": "1 where the text is withheld",
            "created_at": "when it was stored",
            "attack_parameters": "the attack's parameters, a JSON object",
            "target": "what the attack aims at as first words; NULL where there is none",
            "metadata": "the sample's other labels, a JSON object",
            "images": "the sample's images in their order, a JSON list of SHA-256 digests",
            "image_paths": "where they lie in the media root, a JSON list; null where withheld",
            "temperature": "NULL where the settings say none: at greedy decoding, or left out",
            "top_p": "NULL where the settings say none",
            "max_new_tokens": "the answer's limit",
            "do_sample": "1 where the answer was sampled, 0 where it was decoded greedily",
            "seed": "the seed of sampling",
            "dtype": "the weights' type: bfloat16, float32 ...",
            "quantization": "the method; NULL for none",
            "system_prompt": "NULL where the settings have none",
            "settings": "all settings that can change the text, a JSON object",
        },
    ),
    View(
        "v_score",
        "the latest score of an answer under a judge, once for each dataset version",
        {
            "score_id": "the score's number in this database",
            "generation_id": "the answer's number",
            "judge": _WHO["judge"],
            "judge_kind": "rule, classifier, api, llm, human or ensemble",
            "judge_digest": _WHO["judge_digest"],
            "heading": "what the judge's share is called: ASR, non-refusal ...",
            **_ON,
            "sample": "the sample's key in the dataset",
            **_LABELS,
            "replicate": "index of the answer's repetition",
            "judge_replicate": "index of the judge's repetition",
            "revision": "0, or how often the score was revised",
            "status": "ok, unparsed, judge_refused or abstained",
            "value": "the judge's number; NULL unless ok",
            "verdict": "the judge's word; NULL unless ok",
            "unsafe": _UNSAFE,
            "threshold": "the policy's threshold, where it was applied",
            "operator": "> or >=, where it was applied",
            "explanation": "the judge's reason; NULL where withheld",
            "created_at": "when it was stored",
        },
    ),
    View(
        "v_outcome",
        "what became of an answer under a judge, scored or not, once for each dataset version",
        {
            "judge": _WHO["judge"],
            "judge_kind": "rule, classifier, api, llm, human or ensemble",
            "judge_digest": _WHO["judge_digest"],
            "heading": "what the judge's share is called",
            "generation_id": "the answer's number",
            **_ON,
            "sample": "the sample's key in the dataset",
            "category": _LABELS["category"],
            "attack": _LABELS["attack"],
            "is_benign": _LABELS["is_benign"],
            "replicate": "index of the answer's repetition",
            "outcome": "the score's status, or failed, or pending",
            "finding_id": "the finding's number",
            "value": "the judge's number",
            "verdict": "the judge's word",
            "unsafe": _UNSAFE,
            "threshold": "the judge's current policy",
            "operator": "> or >=",
        },
    ),
    View(
        "v_asr",
        "unsafe among scored, benign samples left out; each replicate counts as one."
        " `lam3db report` adds the interval, which depends on how samples cluster",
        {
            **_WHO,
            "heading": "what the share is called: of a keyword judge, non-refusal",
            "threshold": "the judge's current policy; NULL without one",
            "operator": "> or >=",
            **_ON,
            **_SPLIT,
            "generations": "answers, scored or not",
            "n": "answers decided as safe or unsafe: the denominator",
            "unsafe": "how many of them are unsafe",
            "asr": "unsafe / n; NULL where n is 0",
            "undecided": "scored, but neither by policy nor by verdict to be decided",
            **_STATUSES,
        },
    ),
    View(
        "v_toxicity",
        "mean and maximum of each number a judge gives, over answers",
        {
            **_WHO,
            "attribute": "the number's name; value is the judge's main number",
            **_ON,
            **_SPLIT,
            "is_benign": _LABELS["is_benign"],
            "generations": "answers, scored or not",
            "n": "answers that have this number: the denominator",
            "mean": "its mean",
            "maximum": "its maximum",
            "unparsed": _STATUSES["unparsed"],
            **_LEFT,
        },
    ),
    View(
        "v_pending",
        "what is left to do: by what was asked for (generate), by judge and dataset (judge)",
        {
            "stage": "generate or judge",
            "judge": "the judge's name; NULL for generate",
            "judge_digest": "its identity",
            **_ON,
            "selection_digest": "the samples asked for; NULL for judge",
            "total": "samples x replicates, or answers",
            "done": "how many are answered, or scored",
            "failed": "how many were tried and failed",
            "pending": "how many were never tried",
        },
    ),
    View(
        "v_coverage",
        "how far a judge has got",
        {
            **_WHO,
            **_ON,
            "is_benign": _LABELS["is_benign"],
            "generations": "answers, scored or not",
            "ok": "how many have a value or verdict",
            **_STATUSES,
            "coverage": "ok / generations",
        },
    ),
)
