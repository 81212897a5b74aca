"""Any table as results: a YAML file says what is where.

A map, in full (only ``fields`` with ``model``, ``response`` and ``prompt`` or ``behavior`` is
needed; ``lam3db import results FILE --suggest`` prints one to begin with)::

    dataset: my-bench             # its name here; --name comes first
    source: Name et al. 2025      # whose results: part of the identity of judges and configs
    file:                         # how the file is laid out, where it does not tell
      encoding: cp1252            # text files that are not UTF-8
      delimiter: ";"              # CSV
      header: [id, text]          # a table without a header line
      sheet: Results              # XLSX
      records: data.items         # where the records are in a JSON document
      ids: id                     # the name of the keys, where records are an object by key
      missing: [NA, nan]          # cells that mean that nothing is there (an empty one does)
    only: {split: [test]}         # rows with these words in a column; others are left out
    repeat: [gpt-4, llama]        # wide tables: the whole map once for each, {model} replaced;
                                  # or [{model: gpt-4, col: gpt4}, ...] with {col} and so on
    repeats: draws                # rows of one sample and model without a replicate's number:
                                  # copies of one answer, or draws of several
    each: answers                 # one attempt per element of a list, which is `item` below,
                                  # its place `item_index`; [answers, labels]: lists side by side
    fields:                       # column, or a.b[0]["c.d"] into it; {constant: x}; a number is
                                  # itself
      model: model_name
      key: id
      behavior: goal              # the cluster; else the prompt
      category: topic
      benign: {column: kind, words: {"true": [harmless], "false": [harmful]}}
      attack: method
      attack_parameters: {steps: n_steps}
      prompt: prompt              # or messages: a list of {role, content}; system: a text
      image: image_path           # or images: a list; opened with --images, else named
      target: target
      replicate: trial            # from 0 or 1, without gaps; else in the order of the file
      attempt: answer_id          # rows that share it are one attempt (a row per annotator)
      response: {column: answer, empty: answer, failures: ["ERROR:"]}
      finish_reason: stop_reason  # how the answer ended, as services name it; another word:
                                  # {column: stop_reason, words: {stop: [], length: [], failed: []}}
    model_facts: {defense: defense}          # with the name, the model's identity
    config: {temperature: 0.7, top_p: top_p} # settings: columns, or numbers as they are
    metadata: [language]                     # labels of the sample
    judges:
      - name: gpt-4-judge         # or {column: judge_name}
        kind: llm                 # rule, classifier, api, llm, human, ensemble
        version: gpt-4-0613
        sees: [prompt, response]  # else all there is
        verdict: label
        words: {unsafe: [1, bad], safe: [0], refused: [refusal]}
        unparsed: [error]         # and any word that is not named; abstained:, judge_refused:
        missing: [n/a]            # no finding at all
        value: score
        threshold: ">= 3"
        raw: judge_output
        explanation: rationale
        attributes: {insult: insult_score}
        heading: ASR              # what its share is called; else by its words
    annotators:                   # judges of kind human
      - columns: [annotator_1, annotator_2]  # one each, by the column's name
        words: {unsafe: [1], safe: [0]}
      - list: annotations         # a list in the row, whose elements are `said`
        name: {column: said.who}
        verdict: said.label
        words: {unsafe: ["yes"], safe: ["no"]}

What must hold: what the map does not name is not read; a word that it gives no meaning is status
``unparsed``; a column that no row has is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.datasets.results.files import has_empty_cells, read_records
from lam3db.datasets.results.maps.joins import read_join
from lam3db.datasets.results.maps.parse import read_shape
from lam3db.datasets.results.maps.rows import RowReader
from lam3db.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.maps.joins import Joined
    from lam3db.datasets.results.maps.shape import MapShape
    from lam3db.datasets.results.record import ResultRecord


@dataclass(frozen=True, slots=True)
class ResultMap:
    """A map that was found right; :meth:`read` is a reader of results."""

    shape: MapShape
    _joined: dict[Path, tuple[Joined, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def digest(self) -> bytes:
        """Identity: everything that is written in it."""
        return digest("result_map", dict(self.shape.written))

    def read(self, path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
        """Yield the attempts of a file."""
        options.only()
        reader = RowReader(
            self.shape,
            path,
            faults,
            options,
            empty=has_empty_cells(path),
            joined=self._joins(path.parent),
        )
        ours = 0
        before = faults.count
        for row in read_records(path, faults, self.shape.file):
            here = faults.count
            yield from reader.read(row)
            ours += faults.count - here
        reader.finish(is_whole=faults.count - ours == before)

    def _joins(self, folder: Path) -> tuple[Joined, ...]:
        """Return the other files, read once: both passes over a file get the same rows."""
        if folder not in self._joined:
            folders = [self.shape.folder, folder]
            self._joined[folder] = tuple(read_join(join, folders) for join in self.shape.joins)
        return self._joined[folder]


def read_map(path: Path) -> ResultMap:
    """Read a map; raise ConfigError with every fault and its line."""
    return ResultMap(read_shape(path))
