"""Fitting: what is written predicts what scikit-learn would, on labels that may be used for it."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, judging, put, sample

from lam3db.config import JudgeConfig, load_judge_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.judges.ensemble_fitted import isotonic, platt
from lam3db.judges.ensemble_rules import Member, Plan
from lam3db.pipeline.fit import chance_of, fit_on_labels, fit_on_votes
from lam3db.pipeline.fit_file import FitFile, FitJob, fit_ensemble
from lam3db.pipeline.fit_table import FitRow
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.review_labels import annotator, read_scheme
from lam3db.pipeline.review_sample import Draw, sample_review
from lam3db.pipeline.watch import Silence
from lam3db.plugins import judge_maker
from lam3db.records import Finding, MemberFinding, RunKind, ScoreStatus, Sees, Subject, Verdict
from lam3db.store import reviews, writes
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, TWO = "a" * 64, "b" * 64
LABELS = "f" * 64


def rows(count: int, behaviors: int = 20, seed: int = 1) -> list[FitRow]:
    """Labels that follow the first member's value, and a second one that guesses."""
    lots = random.Random(seed)
    made = []
    for at in range(count):
        value = lots.random()
        unsafe = lots.random() < 1 / (1 + math.exp(-6 * (value - 0.4)))
        answers = {
            ONE: MemberFinding(ONE, ScoreStatus.OK, value),
            TWO: MemberFinding(TWO, ScoreStatus.OK, round(lots.random(), 1)),
        }
        made.append(FitRow(answers, unsafe, at % behaviors))
    return made


def plan(rule: str) -> Plan:
    return Plan(rule, (Member(ONE), Member(TWO)), 2)


def columns(made: list[FitRow]) -> tuple[list[list[float]], list[int]]:
    values = [[row.answers[one].value or 0.0 for one in (ONE, TWO)] for row in made]
    return values, [int(row.unsafe) for row in made]


def test_platt_is_scikit_learns_sigmoid() -> None:
    made = rows(400)
    found = fit_on_labels(plan("calibrated"), made, LABELS, "platt", 5, 0).fitted
    values, outcomes = columns(made)
    for at, judge in enumerate((ONE, TWO)):
        column = [row[at] for row in values]
        theirs = _SigmoidCalibration().fit(column, outcomes)
        ours = found.of(judge)
        for score in (-1.0, 0.0, 0.37, 1.0, 2.0):
            assert platt(ours["a"], ours["b"], score) == pytest.approx(
                float(theirs.predict([score])[0]), abs=2e-4
            )


def test_isotonic_is_scikit_learns() -> None:
    made = rows(300)
    found = fit_on_labels(plan("calibrated"), made, LABELS, "isotonic", 5, 0).fitted
    values, outcomes = columns(made)
    for at, judge in enumerate((ONE, TWO)):
        theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        theirs.fit([row[at] for row in values], outcomes)
        ours = found.of(judge)
        scores = [-1.0, 0.0, 1.0, 2.0, *(row[at] for row in values), *(i / 97 for i in range(97))]
        for score, expected in zip(scores, theirs.predict(scores), strict=True):
            assert isotonic(ours["x"], ours["y"], score) == pytest.approx(
                float(expected), abs=1e-12
            )


def test_stacking_is_scikit_learns_regression() -> None:
    made = rows(300)
    fitted = fit_on_labels(plan("stacking"), made, LABELS, "logistic", 5, 0).fitted
    values, outcomes = columns(made)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(values, outcomes)
    expected = theirs.predict_proba(values)[:, 1]
    for row, chance in zip(made, expected, strict=True):
        assert chance_of(plan("stacking"), fitted, row) == pytest.approx(float(chance), abs=1e-9)


@pytest.mark.parametrize(
    ("rule", "method"),
    [("calibrated", "platt"), ("calibrated", "isotonic"), ("stacking", "logistic")],
)
def test_quality_is_measured_on_other_behaviors(rule: str, method: str) -> None:
    """Labels that depend on the behavior alone teach nothing about another behavior."""
    lots = random.Random(8)
    made = []
    for at in range(400):
        value = (at % 40 + lots.random() * 0.01) / 41
        row = MemberFinding(ONE, ScoreStatus.OK, value)
        other = MemberFinding(TWO, ScoreStatus.OK, 0.5)
        made.append(FitRow({ONE: row, TWO: other}, (at % 40) * 7919 % 13 < 6, at % 40))
    found = fit_on_labels(plan(rule), made, LABELS, method, 5, 0).held_out
    assert found is not None
    assert (found.n, found.clusters) == (400, 40)
    assert found.accuracy < 0.65, "a fit that has seen the behavior would know it"
    learnt = fit_on_labels(plan(rule), rows(600), LABELS, method, 5, 0).held_out
    assert learnt is not None
    assert learnt.accuracy > learnt.base_rate + 0.1
    assert learnt.brier < 0.21


def test_one_seed_gives_one_fit_and_members_may_stand_in_any_order() -> None:
    made = rows(200)
    first = fit_on_labels(plan("stacking"), made, LABELS, "logistic", 4, 3)
    assert fit_on_labels(plan("stacking"), made, LABELS, "logistic", 4, 3) == first
    turned = Plan("stacking", (Member(TWO), Member(ONE)), 2)
    other = fit_on_labels(turned, made, LABELS, "logistic", 4, 3).fitted
    for judge in (ONE, TWO):
        assert other.of(judge)["coefficient"] == pytest.approx(
            first.fitted.of(judge)["coefficient"], abs=1e-6
        )


def test_too_few_labels_are_refused_with_the_reason() -> None:
    made = rows(60, behaviors=4)
    calibrated = plan("calibrated")
    with pytest.raises(ConfigError, match="60 labels of 4 behaviors are too few for 5 folds"):
        fit_on_labels(calibrated, made, LABELS, "platt", 5, 0)
    with pytest.raises(ConfigError, match="two or more are needed"):
        fit_on_labels(calibrated, made, LABELS, "platt", 1, 0)
    safe = [FitRow(row.answers, unsafe=False, behavior_id=row.behavior_id) for row in made]
    with pytest.raises(ConfigError, match="only 60 labels, all of them safe"):
        fit_on_labels(calibrated, safe, LABELS, "platt", 2, 0)
    lonely = [
        FitRow(row.answers, unsafe=row.behavior_id == 0, behavior_id=row.behavior_id)
        for row in made
    ]
    with pytest.raises(ConfigError, match=r"without fold \d of 4 there are only 45 labels"):
        fit_on_labels(calibrated, lonely, LABELS, "platt", 4, 0)


def test_votes_are_enough_for_three_and_not_for_two() -> None:
    voters = tuple(Member(f"{one}" * 64, (Verdict.UNSAFE,)) for one in "abc")
    votes = [(1, 1, 0)] * 20 + [(0, 0, 0)] * 60 + [(1, 1, 1)] * 20 + [(0, 1, 0)] * 5
    found = fit_on_votes(Plan("dawid-skene", voters, 2), votes, LABELS).fitted
    assert 0.2 < found.prior < 0.5
    assert found.of("c" * 64)["if_unsafe"] < found.of("a" * 64)["if_unsafe"]
    with pytest.raises(ConfigError, match="needs three members or more, here are 2"):
        fit_on_votes(Plan("dawid-skene", voters[:2], 2), [(1, 1)], LABELS)
    with pytest.raises(ConfigError, match="no answer has votes"):
        fit_on_votes(Plan("dawid-skene", voters, 2), [], LABELS)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Sixty answers to five behaviors, judged by three, thirty labelled for each part."""
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(60)])
        generate(opened, job())
        for name in ("x", "y", "z"):
            judge_pending(opened, judging(name))
        sample_review(opened, Draw("r", random=20, disputed=30, judges=("x", "y")))
        label(opened)
        yield opened


def label(store: Store) -> None:
    """Let anna call unsafe what judge x scores high, and skip some."""
    person = annotator("anna", "0" * 64, (Sees.RESPONSE,), read_scheme("safety"))
    with store.write() as conn:
        from stored import start

        from lam3db.store.members import member_findings
        from lam3db.store.reads import load_judged

        judge_id = writes.put_judge(conn, person)
        run, _ = start(conn, RunKind.JUDGE, judge_id=judge_id)
        review = reviews.find_review(conn, "r")
        ids = [item.generation_id for item in reviews.review_items(conn, review.id)]
        card = reviews.find_judge(conn, "x")
        said = member_findings(conn, {card.digest: card.id}, ids)
        texts = load_judged(conn, ids)
        findings = []
        for at, one in enumerate(ids):
            high = (said[one][card.digest].value or 0) > 0.5
            finding = Finding(verdict=Verdict.UNSAFE if high else Verdict.SAFE)
            skipped = Finding(ScoreStatus.ABSTAINED)
            subject = Subject(texts[one].text).digest
            findings.append(writes.FindingIn(subject, skipped if at % 10 == 9 else finding, (one,)))
        writes.put_findings(conn, run, judge_id, findings)


def ensemble(store: Store, rule: str, *names: str, **settings: Any) -> JudgeConfig:
    with store.read() as conn:
        ids = tuple(reviews.find_judge(conn, name).digest for name in names or ("x", "y"))
    verdicts = dict.fromkeys(ids, ("unsafe",))
    given = {"rule": rule, "members": ids, "unsafe_verdicts": verdicts, **settings}
    return JudgeConfig(name="plain", kind="ensemble", settings=given)


def fit(store: Store, config: JudgeConfig, **changes: Any) -> FitFile:
    asked = {"config": config, "name": "made", "labels": "human:anna", "folds": 3}
    return fit_ensemble(store, FitJob(**{**asked, **changes}), Silence())


@pytest.mark.parametrize(
    ("rule", "method"),
    [("calibrated", "platt"), ("calibrated", "isotonic"), ("stacking", None)],
)
def test_a_fitted_file_is_a_judge(
    store: Store, rule: str, method: str | None, tmp_path: Path
) -> None:
    made = fit(store, ensemble(store, rule), method=method)
    assert (made.used, made.skipped, made.incomplete) == (27, 3, 0)
    assert made.measured is not None
    assert (made.measured.n, made.measured.clusters) == (27, 5)
    path = tmp_path / "made.yaml"
    path.write_text(made.text, encoding="utf-8")
    assert made.text.startswith("# Fitted on 27 labels of human:anna#")
    config = load_judge_config(path)
    assert config.name == "made"
    identity = judge_maker("ensemble").describe(config, lambda *_: None)
    assert identity.digest.hex() == made.digest
    about = config.settings["fitted"]["about"]
    assert (about["part"], about["folds"], about["held_out"]["n"]) == ("training", 3, 27)
    done = judge_pending(store, JudgeJob(config))
    assert (done.counts.new + done.counts.cached, done.counts.failed) == (60, 0)
    assert fit(store, ensemble(store, rule), method=method) == made, (
        "the same labels, the same file"
    )


def test_other_labels_make_another_judge(store: Store) -> None:
    made = fit(store, ensemble(store, "stacking"))
    with store.write() as conn:
        from stored import start

        card = reviews.find_judge(conn, "human:anna")
        run, _ = start(conn, RunKind.JUDGE, judge_id=card.id)
        review = reviews.find_review(conn, "r")
        item = reviews.review_items(conn, review.id, "training")[0]
        from lam3db.store.labels import labels_of

        row = next(
            r for r in labels_of(conn, card.id, "training") if r.generation_id == item.generation_id
        )
        turned = Verdict.SAFE if row.verdict == "unsafe" else Verdict.UNSAFE
        revised = writes.FindingIn(
            row.subject_digest, Finding(verdict=turned), (row.generation_id,)
        )
        writes.put_revisions(conn, run, card.id, [revised], "anna", "again")
    assert fit(store, ensemble(store, "stacking")).digest != made.digest


def test_labels_kept_for_numbers_are_not_fitted_on(store: Store) -> None:
    config = ensemble(store, "stacking")
    with pytest.raises(ConfigError, match=r"kept for numbers.*--spend-estimation"):
        fit(store, config, part="estimation")
    spent = fit(store, config, part="estimation", spend_estimation=True)
    assert spent.used == 18
    assert "(estimation part)" in spent.text


def test_dawid_skene_needs_no_label_and_can_be_measured_on_some(
    store: Store, tmp_path: Path
) -> None:
    config = ensemble(store, "dawid-skene", "x", "y", "z")
    alone = fit(store, config, labels=None)
    assert (alone.measured, alone.used) == (None, 0)
    measured = fit(store, config)
    assert measured.digest == alone.digest, "the labels were only looked at"
    assert measured.measured is not None
    assert measured.measured.n == 27
    path = tmp_path / "made.yaml"
    path.write_text(alone.text, encoding="utf-8")
    done = judge_pending(store, JudgeJob(load_judge_config(path)))
    assert done.counts.failed == 0


@pytest.mark.parametrize(
    ("rule", "changes", "says"),
    [
        ("majority", {}, "has nothing to fit"),
        ("stacking", {"labels": None}, "needs --labels ANNOTATOR"),
        ("stacking", {"labels": "x"}, "no judge of kind human here is called 'x'"),
        ("stacking", {"method": "platt"}, "--method platt, rule stacking"),
        ("calibrated", {"folds": 6}, "5 behaviors are too few for 6 folds"),
    ],
)
def test_what_cannot_be_fitted_is_told(
    store: Store, rule: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises((ConfigError, NotFoundError), match=says):
        fit(store, ensemble(store, rule), **changes)


def test_a_label_without_every_members_score_is_left_out(store: Store) -> None:
    judge_pending(store, judging("odd", unparsed=3))
    found = fit(store, ensemble(store, "stacking", "x", "odd"))
    assert found.incomplete > 2
    assert found.used + found.incomplete == 27
    judge_pending(store, judging("broken", fail=1))
    with pytest.raises(ConfigError, match="no label in the training part on an answer that every"):
        fit(store, ensemble(store, "stacking", "x", "broken"))


def test_a_member_that_changed_makes_the_file_an_error(store: Store, tmp_path: Path) -> None:
    made = fit(store, ensemble(store, "stacking"))
    with store.read() as conn:
        y, z = (reviews.find_judge(conn, name).digest for name in ("y", "z"))
    path = tmp_path / "made.yaml"
    head, fitted, rest = made.text.partition("  fitted:")
    path.write_text(head.replace(y, z) + fitted + rest, encoding="utf-8")
    with pytest.raises(ConfigError, match="fitted for other judges than the members are now"):
        judge_pending(store, JudgeJob(load_judge_config(path)))
