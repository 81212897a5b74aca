-- The tables of schema 0005, for both engines. Words in braces are the engine's own:
-- {id} {int} {bytes} {number} {strict} {unordered}; see 0005_rollup.py. Never changed after release.

CREATE TABLE rollup_touch (
    id {id},
    model_version_id {int} NOT NULL,
    config_id {int} NOT NULL,
    judge_id {int} NOT NULL,
    CONSTRAINT pk_rollup_touch PRIMARY KEY (id)
){strict};

CREATE INDEX ix_rollup_touch_model_version_id_config_id_judge_id ON rollup_touch (model_version_id, config_id, judge_id);

CREATE TABLE rollup_pair (
    model_version_id {int} NOT NULL,
    config_id {int} NOT NULL,
    stamp {int} NOT NULL,
    is_stale {int} NOT NULL,
    dataset_reach {int} NOT NULL,
    answers {int} NOT NULL,
    CONSTRAINT pk_rollup_pair PRIMARY KEY (model_version_id, config_id),
    CONSTRAINT ck_rollup_pair_is_stale_flag CHECK (is_stale IN (0, 1))
){unordered};

CREATE TABLE rollup_selection (
    selection_id {int} NOT NULL,
    labels TEXT NOT NULL,
    members {bytes} NOT NULL,
    CONSTRAINT pk_rollup_selection PRIMARY KEY (selection_id)
){strict};

CREATE TABLE rollup (
    part TEXT NOT NULL,
    judge_id {int} NOT NULL,
    selection_id {int} NOT NULL,
    model_version_id {int} NOT NULL,
    config_id {int} NOT NULL,
    reach {int} NOT NULL,
    threshold {number},
    operator TEXT,
    sums {bytes} NOT NULL,
    CONSTRAINT pk_rollup PRIMARY KEY (part, judge_id, selection_id, model_version_id, config_id),
    CONSTRAINT ck_rollup_part_word CHECK (part IN ('whole', 'category', 'attack', 'both'))
){unordered};

CREATE INDEX ix_rollup_model_version_id_config_id ON rollup (model_version_id, config_id);

CREATE INDEX ix_generation_variant ON generation (variant) WHERE variant > 0;

CREATE INDEX ix_score_opinion ON score (replicate) WHERE replicate > 0;
