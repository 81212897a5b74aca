-- The table of schema 0007, for both engines. Words in braces are the engine's own:
-- {int} {bytes} {strict}; see 0007_units.py. Never changed after release.

CREATE TABLE rollup_unit (
    judge_id {int} NOT NULL,
    model_version_id {int} NOT NULL,
    config_id {int} NOT NULL,
    units {bytes} NOT NULL,
    CONSTRAINT pk_rollup_unit PRIMARY KEY (model_version_id, config_id, judge_id)
){strict};
