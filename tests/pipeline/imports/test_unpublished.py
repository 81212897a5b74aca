"""An answer whose text nobody published: labelled, counted, and never taken for another's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from results_maps import job, rows, take

from lam3db.errors import InputError
from lam3db.store.engine import open_store
from lam3db.store.verify import verify

TEXT = """
dataset: bench
fields:
  key: id
  model: model
  prompt: prompt
  replicate: run
  response: RESPONSE
judges:
  - name: strict
    kind: llm
    verdict: label
    words: {unsafe: [1], safe: [0]}
    explanation: why
"""
DATA = (
    "id,model,prompt,run,answer,label,why\n"
    "a,m,p,0,[redacted],1,says how\na,m,p,1,[redacted],0,refuses\nb,m,q,0,Sure,1,it does\n"
)
SCORES = """SELECT CASE WHEN text IS NULL THEN 1 ELSE 0 END, is_withheld FROM v_generation
             ORDER BY sample, replicate"""
LABELS = """SELECT s.unsafe, s.explanation FROM v_score s JOIN v_generation g USING (generation_id)
             ORDER BY g.sample, g.replicate"""


@pytest.mark.parametrize("word", ["[redacted]", ""])
def test_a_label_stays_where_no_text_was_published(
    tmp_path: Path, store_url: str, word: str
) -> None:
    text = TEXT.replace("RESPONSE", f"{{column: answer, absent: ['{word}']}}")
    data = DATA.replace("[redacted]", word)
    first = take(store_url, job(tmp_path, data, text))
    assert (first.stored.new, first.stored.judges[0].new) == (3, 3)
    assert rows(store_url, SCORES) == [(1, 1), (1, 1), (0, 0)]
    assert rows(store_url, LABELS) == [(1, "says how"), (0, "refuses"), (1, "it does")]
    digests = rows(store_url, "SELECT DISTINCT text_digest FROM generation")
    assert len(digests) == 3
    again = take(store_url, job(tmp_path, data, text))
    assert (again.stored.new, again.stored.judges[0].new) == (0, 0)
    with open_store(store_url, mode="read") as store:
        assert not [fault for part in verify(store) for fault in part.faults]


def test_a_file_without_any_text_is_read(tmp_path: Path, store_url: str) -> None:
    text = TEXT.replace("RESPONSE", "{absent: true}")
    take(store_url, job(tmp_path, DATA, text))
    assert rows(store_url, SCORES) == [(1, 1)] * 3
    known = TEXT.replace("RESPONSE", "answer")
    with pytest.raises(InputError, match="another answer is stored"):
        take(store_url, job(tmp_path, DATA, known))
