"""Noise belongs to the request, and the choice follows the probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lam3db.models.sampling import Chooser, Noise, Row

DIGEST = bytes(range(32))
SAMPLED = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 8}
PROBABILITIES = [0.4, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01]


def _numbers(noise: Any, step: Any = 0, size: Any = 5) -> Any:
    return noise.gumbel(step, np.arange(size), size).tolist()


def test_noise_is_the_same_for_ever() -> None:
    expected = [3.258767183908177, 0.291135151670857, -0.9577386158878097, -0.342490600786669]
    assert _numbers(Noise.of(42, DIGEST, 0), step=3, size=4) == pytest.approx(expected, abs=1e-12)


def test_noise_depends_on_seed_input_replicate_and_step_only() -> None:
    base = Noise.of(42, DIGEST, 0)
    others = [Noise.of(43, DIGEST, 0), Noise.of(42, DIGEST[::-1], 0), Noise.of(42, DIGEST, 1)]
    assert all(_numbers(other) != _numbers(base) for other in others)
    assert _numbers(base, step=1) != _numbers(base)
    assert _numbers(base, size=9)[:5] == _numbers(base)
    some = base.gumbel(0, np.array([1, 4]), 5).tolist()
    assert some == [_numbers(base)[1], _numbers(base)[4]]
    long = _numbers(base, size=5000)
    assert not set(long) & set(_numbers(base, step=1, size=5000))


def test_frequencies_follow_the_probabilities() -> None:
    count = 20_000
    logits = torch.tensor(PROBABILITIES).log()
    chooser = Chooser(SAMPLED, [])
    found = np.zeros(len(PROBABILITIES))
    for start in range(0, count, 500):
        rows = [Row([], Noise.of(7, DIGEST, number)) for number in range(start, start + 500)]
        for token in chooser.choose(logits.repeat(500, 1), rows):
            found[token] += 1
    expected = np.array(PROBABILITIES) * count
    chi_square = float(((found - expected) ** 2 / expected).sum())
    assert chi_square < 22.46  # 6 degrees of freedom, one false alarm in a thousand


def test_warpers_cut_what_they_should() -> None:
    logits = torch.tensor(PROBABILITIES).log()
    rows = [Row([], Noise.of(7, DIGEST, number)) for number in range(400)]
    table = logits.repeat(400, 1)
    nucleus = Chooser(SAMPLED | {"top_p": 0.6}, []).choose(table.clone(), rows)
    assert set(nucleus) == {0, 1}
    assert set(Chooser(SAMPLED | {"top_k": 3}, []).choose(table.clone(), rows)) == {0, 1, 2}
    cold = Chooser(SAMPLED | {"temperature": 0.05}, []).choose(table.clone(), rows)
    assert cold.count(0) > 390


def test_minimum_length_and_penalty_look_at_each_row() -> None:
    logits = torch.tensor([[3.0, 2.9, 1.0], [3.0, 2.9, 1.0]])
    greedy = {"do_sample": False, "max_new_tokens": 8}
    rows = [Row([], said=[]), Row([], said=[1, 1])]
    chooser = Chooser(greedy | {"min_new_tokens": 2}, [0])
    assert chooser.choose(logits.clone(), rows) == [1, 0]
    chooser = Chooser(greedy | {"repetition_penalty": 2.0}, [])
    assert chooser.choose(logits.clone(), [Row([0]), Row([2])]) == [1, 0]


def test_a_row_without_noise_is_an_error() -> None:
    with pytest.raises(ValueError, match="without noise"):
        Chooser(SAMPLED, []).choose(torch.zeros(1, 4), [Row([])])
