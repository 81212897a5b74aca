"""What every judge does that is a sequence classifier: texts in, batches of windows, findings out.

A judge of this kind says how sums become scores and how the scores of a text's windows become
its finding; the rest is here. A batch that is too large for the memory is halved, and one
that fails for another reason is asked window by window.

What must hold: every subject is answered exactly once; identical texts are scored once; a
text that fails leaves the rest alone; a blank text is ``abstained``; a sum that is no finite
number is a failure, never a score. The order in which windows were scored changes nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lam3db.judges.blank import BLANK, is_blank
from lam3db.judges.windows import Queue, Text, Window, Windower
from lam3db.records import Failed, Finding, ScoreStatus, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.judges.loaded import LoadedClassifier

Scores = tuple[float, ...]
"""One number per output of the model, in its order."""
_NO_PROMPT = Failed(
    "PromptMissingError", "the judge reads the prompt too, and there is none", of_sample=True
)
_UNREADABLE = Finding(ScoreStatus.ABSTAINED, explanation="the tokenizer leaves nothing of the text")


def highest(rows: Sequence[Scores]) -> Scores:
    """Return, output by output, the highest score of a text's windows."""
    return tuple(map(max, zip(*rows, strict=True)))


def mean(rows: Sequence[Scores]) -> Scores:
    """Return, output by output, the mean over a text's windows, each counting the same."""
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))


@dataclass(slots=True)
class _Tally:
    """What is known of one text so far."""

    missing: int
    rows: list[Scores] = field(default_factory=list)
    failed: Failed | None = None

    def add(self, scores: Scores | Failed) -> None:
        self.missing -= 1
        if isinstance(scores, Failed):
            self.failed = scores
        else:
            self.rows.append(scores)


@dataclass(slots=True)
class WindowJudge(ABC):
    """A loaded classifier at work. ``budget`` is the tokens of a batch, padding included.

    With ``bf16`` the arithmetic is done in bfloat16 where torch holds that to be safe; with
    ``pairs`` the model reads the prompt beside the response.
    """

    loaded: LoadedClassifier
    windower: Windower
    budget: int
    bf16: bool = False
    pairs: bool = False

    @abstractmethod
    def activate(self, logits: Any) -> Any:
        """Return the scores of one window from its sums (a tensor of one dimension)."""

    @abstractmethod
    def finding(self, rows: Sequence[Scores]) -> Finding:
        """Return what is said of a text with these scores, one row per window."""

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield outcomes as they are known: blank answers first, then long texts to short."""
        groups: dict[Text, list[Subject]] = {}
        blank, lost = list[Subject](), list[Subject]()
        for subject in subjects:
            if is_blank(subject.response):
                blank.append(subject)
            elif self.pairs and subject.prompt is None:
                lost.append(subject)
            else:
                groups.setdefault(self._text(subject), []).append(subject)
        if blank or lost:
            yield [(one, BLANK) for one in blank] + [(one, _NO_PROMPT) for one in lost]
        texts = list(groups)
        for known in self._judge_texts(texts):
            yield [
                (subject, outcome)
                for index, outcome in known.items()
                for subject in groups[texts[index]]
            ]

    def _text(self, subject: Subject) -> Text:
        return (subject.prompt or "", subject.response) if self.pairs else subject.response

    def close(self) -> None:
        """Give back the memory."""
        if self.loaded.model is None:
            return
        on_gpu = self.loaded.model.device.type == "cuda"
        if self.loaded.packed:
            self.loaded = replace(self.loaded, model=None)
        else:
            self.loaded.model.to("meta")
        if on_gpu:
            _empty_cache()

    def _judge_texts(self, texts: Sequence[Text]) -> Iterator[dict[int, Finding | Failed]]:
        """Yield the outcomes of distinct texts by index, batch by batch."""
        windows, failed = self.windower.cut(texts)
        counts: dict[int, int] = {}
        for window in windows:
            counts[window.index] = counts.get(window.index, 0) + 1
        tallies = {index: _Tally(count) for index, count in counts.items()}
        early: dict[int, Finding | Failed] = dict(failed)
        nothing = (one for one in range(len(texts)) if one not in tallies and one not in failed)
        early.update(dict.fromkeys(nothing, _UNREADABLE))
        if early:
            yield early
        queue = Queue(windows, self.budget)
        while queue.waiting:
            done: dict[int, Finding | Failed] = {}
            for window, scores in self._try(queue.take(), queue):
                tally = tallies[window.index]
                tally.add(scores)
                if not tally.missing:
                    done[window.index] = tally.failed or self.finding(tally.rows)
                    del tallies[window.index]
            if done:
                yield done

    def _try(self, batch: list[Window], queue: Queue) -> list[tuple[Window, Scores | Failed]]:
        """Score a batch; when it fails, halve it (memory) or ask one by one (anything else)."""
        try:
            return list(zip(batch, self._scores(batch), strict=True))
        except Exception as error:  # noqa: BLE001 - model code may raise anything; it is recorded
            if _is_out_of_memory(error):
                _empty_cache()
                if queue.halve(batch):
                    self.budget = queue.budget
                    return []
            if len(batch) == 1:
                # perhaps the device's fault and not the text's: worth another attempt
                return [(batch[0], Failed.from_exception(error, retryable=True))]
        return [one for window in batch for one in self._try([window], queue)]

    def _scores(self, batch: list[Window]) -> list[Scores | Failed]:
        """Return each window's scores by one forward pass, padded on the right."""
        import torch

        device = self.loaded.model.device
        shape = len(batch), max(len(window.tokens) for window in batch)
        tokens = torch.full(shape, self.loaded.padding)
        mask, types = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        for row, window in enumerate(batch):
            tokens[row, : len(window.tokens)] = torch.tensor(window.tokens)
            types[row, : len(window.types)] = torch.tensor(window.types, dtype=torch.long)
            mask[row, : len(window.tokens)] = 1
        given = {"input_ids": tokens.to(device), "attention_mask": mask.to(device)}
        if batch[0].types:
            given["token_type_ids"] = types.to(device)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16),
        ):
            logits = self.loaded.model(**given).logits
        logits = logits.float().cpu()[:, : len(self.loaded.names)]
        return [self._checked(row) for row in logits]

    def _checked(self, logits: Any) -> Scores | Failed:
        """Return a row of scores, or a failure where the arithmetic broke down.

        An infinite sum would pass for the score 0 or 1.
        """
        if logits.isfinite().all():
            return tuple(self.activate(logits).tolist())
        return Failed("NotANumberError", f"the model's sums are {logits.tolist()}")


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # the CPU allocator has no class of its own
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
