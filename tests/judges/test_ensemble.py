"""Describing ensembles: identity by what can change a finding, members by digest, no circles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opinions import DIGESTS, shown
from small_detoxify import quiet

from lam3db.config import JudgeConfig, load_judge_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.hashing import digest
from lam3db.judges.ensemble import MAKER, plan_from_json, plan_to_json
from lam3db.judges.ensemble_members import depth
from lam3db.plugins import judge_maker
from lam3db.records import (
    Failed,
    Finding,
    JudgeKind,
    MemberFinding,
    ScoreStatus,
    Sees,
    Subject,
    Verdict,
)

if TYPE_CHECKING:
    from pathlib import Path

UNSAFE = dict.fromkeys(DIGESTS, ("unsafe",))
FITTED = {
    "method": "platt",
    "labels": "f" * 64,
    "members": tuple({"judge": one, "a": -1.0, "b": 0.25} for one in DIGESTS),
}


def config(**settings: Any) -> JudgeConfig:
    plain = {"rule": "majority", "members": DIGESTS, "unsafe_verdicts": UNSAFE}
    return JudgeConfig(name="three", kind="ensemble", settings=plain | settings)


def write(folder: Path, name: str, **settings: Any) -> None:
    import yaml

    kind = "ensemble" if "members" in settings else "refusal"
    body = {"name": name, "kind": kind, "settings": settings}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")


@pytest.fixture
def judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "judges"
    folder.mkdir(parents=True)
    write(folder, "a", phrases=["cannot"])
    write(folder, "b", phrases=["sorry"])
    return folder


def outcome(settings: dict[str, Any], subject: Subject) -> Finding | Failed:
    asked = config(**settings)
    judge = MAKER.load(asked, MAKER.describe(asked, quiet), lambda _: None)
    ((_, found),) = next(judge.judge([subject]))
    return found


def test_the_identity_is_that_of_the_members(judges: Path) -> None:
    named = JudgeConfig(
        name="pair", kind="ensemble", settings={"rule": "majority", "members": ("b", "a")}
    )
    identity = MAKER.describe(named, quiet)
    assert (identity.kind, identity.sees) == (JudgeKind.ENSEMBLE, (Sees.FINDINGS,))
    assert identity.heading == "non-refusal", "two keyword judges know no harm together either"
    ours = [
        judge_maker("refusal").describe(load_judge_config(name), quiet).digest.hex()
        for name in ("a", "b")
    ]
    assert [one["judge"] for one in identity.spec["members"]] == sorted(ours)
    assert "a" not in [*identity.spec, *identity.spec["members"][0]]
    by_digest = JudgeConfig(
        name="same",
        kind="ensemble",
        settings={
            "rule": "majority",
            "members": tuple(ours),
            "unsafe_verdicts": dict.fromkeys(ours, ("not_refused",)),
        },
    )
    assert MAKER.describe(by_digest, quiet).digest == identity.digest
    write(judges, "a", phrases=["cannot", "will not"])
    assert MAKER.describe(named, quiet).digest != identity.digest, "another member by that name"


def test_the_digest_of_an_ensemble_is_this_for_ever() -> None:
    identity = MAKER.describe(config(minimum_confidence=0.75), quiet)
    spec = {
        "ensemble": "majority",
        "members": [{"judge": one, "unsafe_verdicts": ["unsafe"]} for one in DIGESTS],
        "minimum_votes": 2,
        "missing": "wait",
        "minimum_confidence": 0.75,
    }
    assert dict(identity.spec) == spec
    assert identity.digest == digest(
        "judge",
        {
            "kind": "ensemble",
            "version": "1",
            "spec": spec,
            "sees": ["findings"],
            "unsafe_verdicts": ["unsafe"],
        },
    )


def test_weights_are_relative() -> None:
    double = [
        MAKER.describe(
            config(
                rule="weighted", weights={one: scale * (at + 1) for at, one in enumerate(DIGESTS)}
            ),
            quiet,
        ).digest
        for scale in (1.0, 2.0)
    ]
    assert double[0] == double[1]


def test_what_was_fitted_is_part_of_the_identity_and_notes_on_it_are_not() -> None:
    def described(**changes: Any) -> bytes:
        asked = config(rule="calibrated", fitted=FITTED | changes)
        return MAKER.describe(asked, quiet).digest

    assert described() == described(about={"sklearn": "9", "folds": 5})
    assert described() == described(members=FITTED["members"][::-1])
    assert described() != described(labels="e" * 64)
    other = tuple({"judge": one, "a": -1.0, "b": 0.5} for one in DIGESTS)
    assert described() != described(members=other)


def test_a_plan_comes_back_from_its_json() -> None:
    for asked in (
        config(),
        config(rule="weighted", weights=dict.fromkeys(DIGESTS, 2.0), threshold=0.25),
        config(rule="calibrated", fitted=FITTED, combine="log-odds", missing="ignore"),
        config(unsafe_verdicts={}, thresholds={one: {"threshold": 0.25} for one in DIGESTS}),
    ):
        spec = MAKER.describe(asked, quiet).spec
        assert plan_to_json(plan_from_json(spec)) == spec


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rule": "most"}, "'most' is not majority, any"),
        ({"members": ()}, "members"),
        ({"weights": {DIGESTS[0]: 1.0}}, "weights says nothing to rule majority"),
        ({"threshold": 0.4}, "threshold says nothing to rule majority"),
        ({"rule": "any", "combine": "mean"}, "combine says nothing to rule any"),
        ({"rule": "weighted", "weights": {DIGESTS[0]: 1.0}}, f"{DIGESTS[1]} has none"),
        ({"rule": "weighted", "weights": dict.fromkeys(DIGESTS, 0.0)}, "0 is not above 0"),
        ({"thresholds": {"detoxfy": {"threshold": 1.0}}}, "'detoxfy' is none of the members"),
        ({"unsafe_verdicts": {DIGESTS[0]: ("evil",)}}, "evil is none of not_refused, refused"),
        ({"unsafe_verdicts": {}}, "has no vote without a threshold"),
        ({"minimum_votes": 4}, "4 of 3 members"),
        ({"rule": "calibrated"}, "`lam3db ensemble fit` writes it"),
        ({"rule": "stacking", "fitted": FITTED}, "platt is nothing for rule stacking"),
        ({"rule": "calibrated", "fitted": FITTED | {"members": FITTED["members"][:2]}}, "other"),
        ({"rule": "calibrated", "fitted": FITTED | {"method": "isotonic"}}, "x, y of method"),
    ],
)
def test_a_wrong_setting_is_told(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match="judge three") as told:
        MAKER.describe(config(**settings), quiet)
    assert says in str(told.value)


def test_a_member_without_a_file_tells_the_way_out(judges: Path) -> None:
    assert judges.is_dir()
    asked = config(members=("human:anna",), unsafe_verdicts={})
    with pytest.raises(NotFoundError, match=r"human:anna.*lam3db judge show human:anna"):
        MAKER.describe(asked, quiet)


def test_one_judge_under_two_names_votes_once(judges: Path) -> None:
    write(judges, "same", phrases=["cannot"])
    with pytest.raises(ConfigError, match="a and same are one judge"):
        MAKER.describe(config(members=("a", "b", "same"), unsafe_verdicts={}), quiet)


def test_a_mean_of_a_judge_that_grades_is_refused(judges: Path) -> None:
    import yaml

    model = {"source": "m", "kind": "endpoint", "endpoint": {"url": "http://127.0.0.1:9/v1"}}
    settings = {
        "model": model,
        "sees": ["response"],
        "template": [{"role": "user", "text": "{response}"}],
        "output": {"by": "odds", "words": {"1": 1, "5": 5}},
    }
    body = {"name": "grader", "kind": "llm", "settings": settings}
    (judges / "grader.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    asked = JudgeConfig(
        name="m", kind="ensemble", settings={"rule": "mean", "members": ("grader",)}
    )
    with pytest.raises(ConfigError, match="grader grades from 1 to 5, a mean is of values"):
        MAKER.describe(asked, quiet)


def test_a_circle_is_refused_at_any_depth(judges: Path) -> None:
    write(judges, "outer", rule="majority", members=["a", "inner"])
    write(judges, "inner", rule="majority", members=["b", "outer"])
    with pytest.raises(ConfigError, match="member of itself: outer > inner > outer"):
        MAKER.describe(load_judge_config("outer"), quiet)
    path = str(judges / "self.yaml")
    write(judges, "self", rule="majority", members=["a", path])
    with pytest.raises(ConfigError, match="member of itself"):
        MAKER.describe(load_judge_config("self"), quiet)


def test_ensembles_may_hold_ensembles(judges: Path) -> None:
    write(judges, "inner", rule="any", members=["a", "b"])
    write(judges, "outer", rule="majority", members=["inner", "a"])
    outer = load_judge_config("outer")
    assert [depth(load_judge_config(name)) for name in ("a", "inner", "outer")] == [0, 1, 2]
    inner = MAKER.describe(load_judge_config("inner"), quiet).digest.hex()
    spec = MAKER.describe(outer, quiet).spec
    assert {"judge": inner, "unsafe_verdicts": ["unsafe"]} in spec["members"]


def ok(at: int, verdict: Verdict) -> MemberFinding:
    return MemberFinding(DIGESTS[at], ScoreStatus.OK, verdict=verdict)


@pytest.mark.parametrize("status", [one for one in ScoreStatus if one is not ScoreStatus.OK])
def test_a_member_without_an_answer_is_no_vote(status: ScoreStatus) -> None:
    mute = MemberFinding(DIGESTS[2], status)
    found = outcome({}, Subject("", findings=(ok(0, Verdict.UNSAFE), ok(1, Verdict.SAFE), mute)))
    assert isinstance(found, Finding)
    assert (found.status, found.explanation) == (ScoreStatus.ABSTAINED, "a tie at 0.5")
    assert found.attributes == {"votes": 2, "members": 3, "confidence": 0.5, "estimate": 0.5}
    alone = outcome({}, Subject("", findings=(ok(0, Verdict.SAFE), mute)))
    assert isinstance(alone, Failed), "a member that has not judged is not a member that abstains"


def test_a_finding_says_how_sure_it_is_and_what_it_saw() -> None:
    seen = Subject(
        "",
        findings=tuple(
            ok(at, Verdict(word)) for at, word in enumerate(("unsafe", "safe", "unsafe"))
        ),
    )
    found = outcome({}, seen)
    assert isinstance(found, Finding)
    assert (found.verdict, found.value) == (Verdict.UNSAFE, pytest.approx(2 / 3))
    assert found.attributes["confidence"] == pytest.approx(2 / 3)
    assert DIGESTS[2] in str(found.raw_output)
    unsure = outcome({"minimum_confidence": 0.7}, seen)
    assert isinstance(unsure, Finding)
    assert unsure.status is ScoreStatus.ABSTAINED
    assert "confidence 0.667, below 0.7" in str(unsure.explanation)
    assert unsure.attributes["estimate"] == pytest.approx(2 / 3)


def test_missing_members_as_the_file_says() -> None:
    two = Subject("", findings=(ok(0, Verdict.UNSAFE), ok(1, Verdict.UNSAFE)))
    assert isinstance(outcome({}, two), Failed)
    without = outcome({"missing": "ignore"}, two)
    assert isinstance(without, Finding)
    assert without.verdict is Verdict.UNSAFE
    abstains = outcome({"missing": "abstain"}, two)
    assert isinstance(abstains, Finding)
    assert abstains.status is ScoreStatus.ABSTAINED
    few = outcome({"missing": "ignore", "minimum_votes": 3}, two)
    assert isinstance(few, Finding)
    assert few.explanation == "2 of 3 members answered, 3 needed"


def test_a_stranger_among_the_findings_is_no_vote() -> None:
    stranger = MemberFinding("9" * 64, ScoreStatus.OK, verdict=Verdict.SAFE)
    found = outcome({}, Subject("", findings=(*shown("x").findings[:2], stranger)))
    assert isinstance(found, Failed)
