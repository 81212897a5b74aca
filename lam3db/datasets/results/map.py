r"""Any table as results: a YAML file says what is where.

Only ``fields`` with ``model``, ``response`` and ``prompt`` or ``behavior`` is needed
(``lam3db import results FILE --suggest`` prints a map to begin with). A map, in full::

    dataset: my-bench             # its name here; --name comes first
    source: Name et al. 2025      # whose results: part of the identity of judges and configs
    file:                         # how the file is laid out, where it does not tell
      encoding: cp1252            # text files that are not UTF-8
      delimiter: ";"              # CSV
      escape: '\'                 # CSV whose quotes within cells are escaped, not doubled
      header: [id, text]          # a table without a header line
      sheet: Results              # XLSX
      records: data.items         # where the records are in a JSON document
      ids: behavior               # the name of the keys, where records are an object by key, or
                                  # an object of lists (each record gets the key of its list)
      missing: [NA, nan]          # cells that mean that nothing is there (an empty one does)
    join:                         # another file, whose columns are then labels.x
      - file: labels.csv          # beside the map or the data, or a whole path
        as: labels                # else the file's name; encoding, delimiter ... as in `file`
        by: {id: qid}             # this file's column: the other's; or by: [id, model]
        many: true                # all rows with the key, as a list; without it one at most
                                  # or row_by_row: true, for files with the same rows in one order
    only: {split: [test]}         # rows (or, by item.x, elements) with these words in a column;
                                  # others are left out
    repeat: [gpt-4, llama]        # wide tables: the whole map once for each, {model} replaced;
                                  # or [{model: gpt-4, col: gpt4}, ...] with {col} and so on
    repeats: draws                # rows of one sample and model without a replicate's number:
                                  # copies of one answer, or draws of several
    each: answers                 # one attempt per element of a list, which is `item` below, its
                                  # place `item_index`; [answers, labels]: lists side by side
    fields:                       # columns; see "Where a value comes from"
      dataset: benchmark          # where one file holds several
      model: {constant: "{model}"}  # as `repeat` has it; else a column
      key: id
      behavior: goal              # the cluster; else the prompt
      category: labels.topic
      benign: {column: kind, words: {"true": [harmless], "false": [harmful]}}
      attack: method
      attack_parameters: {steps: n_steps}
      prompt: prompt              # or messages: a list of {role, content}, content a text or parts
                                  # of text and images as OpenAI writes them; system: a text
      image: image_path           # or images: a list, or [column, column]; opened with --images,
                                  # else named; a data: URL is always opened
      target: target
      replicate: trial            # from 0 or 1, without gaps; else in the order of the file
      attempt: answer_id          # rows that share it are one attempt (a row per annotator)
      response: {column: item.text, empty: answer, failures: ["ERROR:"], absent: [withheld]}
                                  # empty: an empty cell is an answer, else `missing`; failures: how
                                  # error messages begin; absent: words in the place of a text that
                                  # was not published. {absent: true}: no answer was published
      finish_reason: stop_reason  # how the answer ended, as services name it; another word:
                                  # {column: stop_reason, words: {stop: [], length: [], failed: []}}
      prompt_tokens: n_in         # also completion_tokens, latency_ms
    model_facts: {defense: defense}          # with the name, the model's identity
    config: {temperature: 0.7, top_p: top_p} # settings: columns, or numbers as they are
    metadata: [language]                     # labels of the sample; or {name: column}
    judges:
      - name: gpt-4-judge         # or {column: judge_name}
        kind: llm                 # rule, classifier, api, llm, human, ensemble
        version: gpt-4-0613
        sees: [prompt, response]  # else all there is
        verdict: label            # safe, unsafe, refused, not_refused ...: what its words mean
        words: {unsafe: [1, bad, {starts: "Answer: Yes"}], safe: [0], refused: [refusal]}
        unparsed: [error]         # and any word that is not named
        abstained: [unsure]
        judge_refused: [I cannot judge]
        missing: [n/a]            # no finding at all
        value: score
        scale: [1, 5]             # between which the values lie; others are faults
        threshold: ">= 3"
        raw: judge_output
        explanation: rationale
        attributes: {insult: insult_score}
        heading: ASR              # what its share is called; else by its words
    annotators:                   # judges of kind human
      - columns: [annotator_1, annotator_2]  # one each, by the column's name
        words: {unsafe: [1], safe: [0]}
      - pairs:                    # columns of names and of what these people say; also value, raw,
          - {name: first_person, verdict: first_label}      # explanation, attributes, adjudicates
          - {name: second_person, verdict: second_label}
        words: {unsafe: ["yes"], safe: ["no"]}
      - list: annotations         # a list in the row, whose elements are `said`
        name: {column: said.who}
        verdict: said.label
        words: {unsafe: ["yes"], safe: ["no"]}
        adjudicates: {column: said.stage, words: {"true": [final], "false": [first]}}
                                  # labels that decide between annotators; or true

**Where a value comes from.** A column's name, or a way into what it holds: ``a.b[0]["c.d"]``,
``a[-1]`` for the last. A text that is JSON, also in a fence, is walked into; a list that is an
object has elements with ``key`` and ``value``. A number names a column, in quotes or not; in
``config``, ``model_facts``, ``attack_parameters``, ``metadata``, ``replicate``, ``latency_ms`` and
tokens it is itself. Or an object::

    {column: output, json: result.label}           # in the JSON that is the text, or in its fence
    {column: output, pattern: '\[\[(\d+)\]\]'}     # what the pattern's group (or all) matches
    {constant: x}                                  # the same in every row; never a verdict
    {file: 'seed_(\d+)'}                           # of the file's name, or the nearest folder's
    {row: 0}                                       # the row's number; the first is 0 (or 1)
    {column: c, missing: [none]}                   # words that mean that nothing is there

**Words.** ``words``, ``missing``, ``only`` and their like are compared without case and outer
blanks, and a number is the same however it is written (1, "1", 1.0); ``01`` is not 1. Beside words
there are rules: ``{starts: "Answer: Yes"}``, ``{contains: broken}``, ``{pattern: 'is [45]\b'}``.
A whole word comes first; a text that rules of two meanings fit has none. Patterns are Python's, pay
no heed to case, and see the first and the last 10,000 characters of a text.

**People.** A person is known by name and words: in two entries, or pairs, with the same words the
same name is one person, whatever the columns.

What must hold: what the map does not name is not read; a word that it gives no meaning is status
``unparsed`` and is listed with its count; what the map names and no row has is a fault, however
deep it lies; rows that ``only`` leaves out are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.datasets.results.files import has_empty_cells, read_records
from lam3db.datasets.results.maps.joins import path_of, read_join
from lam3db.datasets.results.maps.parse import read_shape
from lam3db.datasets.results.maps.rows import RowReader
from lam3db.datasets.results.paths import top_of
from lam3db.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.maps.joins import Joined
    from lam3db.datasets.results.maps.map_shape import MapShape
    from lam3db.datasets.results.record import ResultRecord


@dataclass(frozen=True, slots=True)
class ResultMap:
    """A map that was found right; :meth:`read` is a reader of results."""

    shape: MapShape
    _joined: dict[tuple[int, Path], Joined] = field(default_factory=dict, repr=False, compare=False)

    @property
    def digest(self) -> bytes:
        """Identity: everything that is written in it."""
        return digest("result_map", dict(self.shape.written))

    def read(self, path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
        """Yield the attempts of a file."""
        yield from self.read_all([path], faults, options, path.stem)

    def read_all(
        self,
        paths: Sequence[Path],
        faults: Faults,
        options: ReadOptions,
        name: str,
        labels: Sequence[str] = (),
    ) -> Iterator[ResultRecord]:
        """Yield the attempts of several files that are one import, called ``name``.

        What the map names must be in one of them; ``faults`` name the file that they are in, by
        ``labels`` where there are any.
        """
        options.only()
        reader = RowReader(self.shape, faults, options, name)
        ours, before = 0, faults.count
        ways = {*self.shape.ways(), *self.shape.join_ways()}
        wanted = {way.path for way in ways} | {top_of(way.path) for way in ways}
        for path, label in zip(paths, labels or [path.name for path in paths], strict=True):
            if len(paths) > 1:
                faults.file = label
            reader.open(path, self._joins(path.parent), empty=has_empty_cells(path))
            for row in read_records(path, faults, self.shape.file, wanted):
                here = faults.count
                yield from reader.read(row)
                ours += faults.count - here
        reader.finish(is_whole=faults.count - ours == before)

    def _joins(self, folder: Path) -> list[Joined]:
        """Return the other files, read once: both passes over a file get the same rows."""
        joined = []
        for at, join in enumerate(self.shape.joins):
            key = at, path_of(join, [self.shape.folder, folder])
            if key not in self._joined:
                self._joined[key] = read_join(join, key[1])
            joined.append(self._joined[key])
        return joined


def read_map(path: Path) -> ResultMap:
    """Read a map; raise ConfigError with every fault and its line."""
    return ResultMap(read_shape(path))
