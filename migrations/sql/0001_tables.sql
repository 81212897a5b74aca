-- The tables of schema 0001, for both engines. Words in braces are the engine's own:
-- {id} {int} {bytes} {number} {strict} {unordered}; see 0001_tables.py. Never changed after release.

CREATE TABLE config (
    id {id},
    digest {bytes} NOT NULL,
    value TEXT NOT NULL,
    dtype TEXT,
    quantization TEXT,
    do_sample {int},
    temperature {number},
    top_p {number},
    max_new_tokens {int},
    seed {int},
    created_at {int} NOT NULL,
    CONSTRAINT pk_config PRIMARY KEY (id),
    CONSTRAINT ck_config_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_config_digest UNIQUE (digest),
    CONSTRAINT ck_config_do_sample_flag CHECK (do_sample IN (0, 1))
){strict};

CREATE TABLE environment (
    id {id},
    digest {bytes} NOT NULL,
    value TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_environment PRIMARY KEY (id),
    CONSTRAINT ck_environment_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_environment_digest UNIQUE (digest)
){strict};

CREATE TABLE issue (
    id {id},
    uid TEXT NOT NULL,
    "key" TEXT NOT NULL,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_issue PRIMARY KEY (id),
    CONSTRAINT uq_issue_uid UNIQUE (uid),
    CONSTRAINT ck_issue_uid_length CHECK (length(uid) = 36),
    CONSTRAINT uq_issue_key UNIQUE ("key"),
    CONSTRAINT ck_issue_title CHECK (length(title) > 0)
){strict};

CREATE TABLE judge (
    id {id},
    digest {bytes} NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    spec TEXT NOT NULL,
    sees TEXT NOT NULL,
    heading TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_judge PRIMARY KEY (id),
    CONSTRAINT ck_judge_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_judge_digest UNIQUE (digest),
    CONSTRAINT ck_judge_kind_word CHECK (kind IN ('rule', 'classifier', 'api', 'llm', 'human', 'ensemble')),
    CONSTRAINT ck_judge_name CHECK (length(name) > 0)
){strict};

CREATE INDEX ix_judge_name ON judge (name);

CREATE TABLE log_entry (
    id {id},
    uid TEXT NOT NULL,
    day TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_log_entry PRIMARY KEY (id),
    CONSTRAINT uq_log_entry_uid UNIQUE (uid),
    CONSTRAINT ck_log_entry_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_log_entry_day CHECK (length(day) = 10)
){strict};

CREATE INDEX ix_log_entry_day ON log_entry (day);

CREATE TABLE model_version (
    id {id},
    digest {bytes} NOT NULL,
    name TEXT NOT NULL,
    family TEXT NOT NULL,
    source TEXT NOT NULL,
    revision TEXT,
    identity_kind TEXT NOT NULL,
    declared TEXT,
    manifest TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_model_version PRIMARY KEY (id),
    CONSTRAINT ck_model_version_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_model_version_digest UNIQUE (digest),
    CONSTRAINT ck_model_version_identity_kind_word CHECK (identity_kind IN ('weights', 'endpoint', 'declared')),
    CONSTRAINT ck_model_version_name CHECK (length(name) > 0)
){strict};

CREATE INDEX ix_model_version_name ON model_version (name);

CREATE TABLE selection (
    id {id},
    digest {bytes} NOT NULL,
    sample_count {int} NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_selection PRIMARY KEY (id),
    CONSTRAINT ck_selection_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_selection_digest UNIQUE (digest),
    CONSTRAINT ck_selection_sample_count CHECK (sample_count >= 0)
){strict};

CREATE TABLE withholding (
    id {id},
    uid TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_withholding PRIMARY KEY (id),
    CONSTRAINT uq_withholding_uid UNIQUE (uid),
    CONSTRAINT ck_withholding_uid_length CHECK (length(uid) = 36)
){strict};

CREATE TABLE behavior (
    id {id},
    digest {bytes} NOT NULL,
    text TEXT,
    category TEXT NOT NULL,
    is_benign {int} NOT NULL,
    withheld_id {int},
    created_at {int} NOT NULL,
    CONSTRAINT pk_behavior PRIMARY KEY (id),
    CONSTRAINT ck_behavior_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_behavior_digest UNIQUE (digest),
    CONSTRAINT ck_behavior_is_benign_flag CHECK (is_benign IN (0, 1)),
    CONSTRAINT ck_behavior_withheld CHECK ((text IS NULL) = (withheld_id IS NOT NULL)),
    CONSTRAINT fk_behavior_withheld_id FOREIGN KEY(withheld_id) REFERENCES withholding (id)
){strict};

CREATE TABLE dataset (
    id {id},
    name TEXT NOT NULL,
    version {int} NOT NULL,
    selection_id {int} NOT NULL,
    source TEXT NOT NULL,
    licence TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_dataset PRIMARY KEY (id),
    CONSTRAINT uq_dataset_name_version UNIQUE (name, version),
    CONSTRAINT uq_dataset_name_selection_id UNIQUE (name, selection_id),
    CONSTRAINT ck_dataset_name CHECK (length(name) > 0),
    CONSTRAINT ck_dataset_version CHECK (version >= 1),
    CONSTRAINT fk_dataset_selection_id FOREIGN KEY(selection_id) REFERENCES selection (id)
){strict};

CREATE INDEX ix_dataset_selection_id ON dataset (selection_id);

CREATE TABLE issue_event (
    id {id},
    uid TEXT NOT NULL,
    issue_id {int} NOT NULL,
    kind TEXT NOT NULL,
    value TEXT,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_issue_event PRIMARY KEY (id),
    CONSTRAINT uq_issue_event_uid UNIQUE (uid),
    CONSTRAINT ck_issue_event_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_issue_event_kind_word CHECK (kind IN ('opened', 'comment', 'status', 'severity', 'assigned', 'closed', 'reopened')),
    CONSTRAINT fk_issue_event_issue_id FOREIGN KEY(issue_id) REFERENCES issue (id)
){strict};

CREATE INDEX ix_issue_event_issue_id ON issue_event (issue_id);

CREATE TABLE judge_policy (
    judge_id {int} NOT NULL,
    version {int} NOT NULL,
    threshold {number} NOT NULL,
    operator TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_judge_policy PRIMARY KEY (judge_id, version),
    CONSTRAINT ck_judge_policy_operator_word CHECK (operator IN ('>', '>=')),
    CONSTRAINT ck_judge_policy_threshold_finite CHECK (threshold BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    CONSTRAINT ck_judge_policy_version CHECK (version >= 1),
    CONSTRAINT fk_judge_policy_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id)
){unordered};

CREATE TABLE judge_progress (
    judge_id {int} NOT NULL,
    generation_id {int} NOT NULL,
    CONSTRAINT pk_judge_progress PRIMARY KEY (judge_id),
    CONSTRAINT ck_judge_progress_generation_id CHECK (generation_id >= 0),
    CONSTRAINT fk_judge_progress_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id)
){strict};

CREATE TABLE judge_verdict (
    judge_id {int} NOT NULL,
    verdict TEXT NOT NULL,
    CONSTRAINT pk_judge_verdict PRIMARY KEY (judge_id, verdict),
    CONSTRAINT ck_judge_verdict_verdict_word CHECK (verdict IN ('safe', 'unsafe', 'refused', 'not_refused')),
    CONSTRAINT fk_judge_verdict_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id)
){unordered};

CREATE TABLE media (
    id {id},
    sha256 {bytes} NOT NULL,
    mime_type TEXT NOT NULL,
    byte_count {int} NOT NULL,
    width {int} NOT NULL,
    height {int} NOT NULL,
    withheld_id {int},
    created_at {int} NOT NULL,
    CONSTRAINT pk_media PRIMARY KEY (id),
    CONSTRAINT ck_media_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT uq_media_sha256 UNIQUE (sha256),
    CONSTRAINT ck_media_size CHECK (byte_count > 0 AND width > 0 AND height > 0),
    CONSTRAINT fk_media_withheld_id FOREIGN KEY(withheld_id) REFERENCES withholding (id)
){strict};

CREATE TABLE run (
    id {id},
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    model_version_id {int},
    config_id {int},
    selection_id {int},
    dataset_id {int},
    judge_id {int},
    environment_id {int} NOT NULL,
    replicates {int} NOT NULL,
    seed {int},
    requested TEXT NOT NULL,
    effective TEXT NOT NULL,
    options TEXT NOT NULL,
    command TEXT NOT NULL,
    host TEXT NOT NULL,
    username TEXT NOT NULL,
    code_commit TEXT,
    code_dirty {int},
    started_at {int} NOT NULL,
    heartbeat_at {int} NOT NULL,
    finished_at {int},
    planned_count {int} NOT NULL,
    new_count {int} NOT NULL,
    cached_count {int} NOT NULL,
    failed_count {int} NOT NULL,
    CONSTRAINT pk_run PRIMARY KEY (id),
    CONSTRAINT uq_run_uid UNIQUE (uid),
    CONSTRAINT ck_run_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_run_kind_word CHECK (kind IN ('generate', 'judge', 'smoke')),
    CONSTRAINT ck_run_status_word CHECK (status IN ('running', 'finished', 'failed', 'interrupted')),
    CONSTRAINT ck_run_code_dirty_flag CHECK (code_dirty IN (0, 1)),
    CONSTRAINT ck_run_replicates CHECK (replicates >= 1),
    CONSTRAINT ck_run_counts CHECK (planned_count >= 0 AND new_count >= 0 AND cached_count >= 0 AND failed_count >= 0),
    CONSTRAINT ck_run_finished CHECK ((status = 'running') = (finished_at IS NULL)),
    CONSTRAINT ck_run_subject CHECK (CASE kind WHEN 'generate' THEN model_version_id IS NOT NULL AND config_id IS NOT NULL AND selection_id IS NOT NULL WHEN 'judge' THEN judge_id IS NOT NULL ELSE 1 = 1 END),
    CONSTRAINT fk_run_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_version (id),
    CONSTRAINT fk_run_config_id FOREIGN KEY(config_id) REFERENCES config (id),
    CONSTRAINT fk_run_selection_id FOREIGN KEY(selection_id) REFERENCES selection (id),
    CONSTRAINT fk_run_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id),
    CONSTRAINT fk_run_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id),
    CONSTRAINT fk_run_environment_id FOREIGN KEY(environment_id) REFERENCES environment (id)
){strict};

CREATE INDEX ix_run_model_version_id_config_id ON run (model_version_id, config_id);

CREATE TABLE sample (
    id {id},
    digest {bytes} NOT NULL,
    input_digest {bytes} NOT NULL,
    behavior_id {int} NOT NULL,
    messages TEXT,
    prompt TEXT,
    attack TEXT NOT NULL,
    attack_parameters TEXT NOT NULL,
    target TEXT,
    metadata TEXT NOT NULL,
    withheld_id {int},
    created_at {int} NOT NULL,
    CONSTRAINT pk_sample PRIMARY KEY (id),
    CONSTRAINT ck_sample_digest_length CHECK (length(digest) = 32),
    CONSTRAINT uq_sample_digest UNIQUE (digest),
    CONSTRAINT ck_sample_input_digest_length CHECK (length(input_digest) = 32),
    CONSTRAINT ck_sample_withheld CHECK ((messages IS NULL) = (withheld_id IS NOT NULL) AND (prompt IS NULL) = (withheld_id IS NOT NULL)),
    CONSTRAINT fk_sample_behavior_id FOREIGN KEY(behavior_id) REFERENCES behavior (id),
    CONSTRAINT fk_sample_withheld_id FOREIGN KEY(withheld_id) REFERENCES withholding (id)
){strict};

CREATE INDEX ix_sample_behavior_id ON sample (behavior_id);

CREATE INDEX ix_sample_input_digest ON sample (input_digest);

CREATE TABLE finding (
    id {id},
    judge_id {int} NOT NULL,
    subject_digest {bytes} NOT NULL,
    replicate {int} NOT NULL,
    revision {int} NOT NULL,
    status TEXT NOT NULL,
    value {number},
    verdict TEXT,
    author TEXT,
    reason TEXT,
    run_id {int} NOT NULL,
    created_at {int} NOT NULL,
    explanation TEXT,
    raw_output TEXT,
    withheld_id {int},
    CONSTRAINT pk_finding PRIMARY KEY (id),
    CONSTRAINT ck_finding_subject_digest_length CHECK (length(subject_digest) = 32),
    CONSTRAINT ck_finding_status_word CHECK (status IN ('ok', 'unparsed', 'judge_refused', 'abstained')),
    CONSTRAINT ck_finding_verdict_word CHECK (verdict IN ('safe', 'unsafe', 'refused', 'not_refused')),
    CONSTRAINT ck_finding_value_finite CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    CONSTRAINT ck_finding_index CHECK (replicate >= 0 AND revision >= 0),
    CONSTRAINT ck_finding_scored CHECK ((status = 'ok') = (value IS NOT NULL OR verdict IS NOT NULL)),
    CONSTRAINT ck_finding_revised CHECK ((revision = 0) = (author IS NULL) AND (revision = 0) = (reason IS NULL)),
    CONSTRAINT uq_finding_key UNIQUE (judge_id, subject_digest, replicate, revision),
    CONSTRAINT ck_finding_withheld CHECK (withheld_id IS NULL OR (explanation IS NULL AND raw_output IS NULL)),
    CONSTRAINT fk_finding_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id),
    CONSTRAINT fk_finding_run_id FOREIGN KEY(run_id) REFERENCES run (id),
    CONSTRAINT fk_finding_withheld_id FOREIGN KEY(withheld_id) REFERENCES withholding (id)
){strict};

CREATE TABLE generation (
    id {id},
    model_version_id {int} NOT NULL,
    config_id {int} NOT NULL,
    sample_id {int} NOT NULL,
    replicate {int} NOT NULL,
    variant {int} NOT NULL,
    run_id {int} NOT NULL,
    origin_id {int},
    raw_text TEXT,
    text TEXT,
    text_digest {bytes} NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens {int} NOT NULL,
    completion_tokens {int} NOT NULL,
    latency_ms {number} NOT NULL,
    batch_size {int} NOT NULL,
    withheld_id {int},
    created_at {int} NOT NULL,
    CONSTRAINT pk_generation PRIMARY KEY (id),
    CONSTRAINT ck_generation_text_digest_length CHECK (length(text_digest) = 32),
    CONSTRAINT ck_generation_finish_reason_word CHECK (finish_reason IN ('stop', 'length')),
    CONSTRAINT uq_generation_key UNIQUE (model_version_id, config_id, sample_id, replicate, variant),
    CONSTRAINT ck_generation_index CHECK (replicate >= 0 AND variant >= 0),
    CONSTRAINT ck_generation_counts CHECK (prompt_tokens >= 0 AND completion_tokens >= 0 AND batch_size >= 1),
    CONSTRAINT ck_generation_latency_ms CHECK (latency_ms BETWEEN 0 AND 1.7976931348623157e308),
    CONSTRAINT ck_generation_withheld CHECK ((text IS NULL) = (withheld_id IS NOT NULL) AND (raw_text IS NULL) = (withheld_id IS NOT NULL)),
    CONSTRAINT fk_generation_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_version (id),
    CONSTRAINT fk_generation_config_id FOREIGN KEY(config_id) REFERENCES config (id),
    CONSTRAINT fk_generation_sample_id FOREIGN KEY(sample_id) REFERENCES sample (id),
    CONSTRAINT fk_generation_run_id FOREIGN KEY(run_id) REFERENCES run (id),
    CONSTRAINT fk_generation_origin_id FOREIGN KEY(origin_id) REFERENCES generation (id),
    CONSTRAINT fk_generation_withheld_id FOREIGN KEY(withheld_id) REFERENCES withholding (id)
){strict};

CREATE TABLE sample_media (
    sample_id {int} NOT NULL,
    position {int} NOT NULL,
    media_id {int} NOT NULL,
    CONSTRAINT pk_sample_media PRIMARY KEY (sample_id, position),
    CONSTRAINT ck_sample_media_position CHECK (position >= 0),
    CONSTRAINT fk_sample_media_sample_id FOREIGN KEY(sample_id) REFERENCES sample (id),
    CONSTRAINT fk_sample_media_media_id FOREIGN KEY(media_id) REFERENCES media (id)
){unordered};

CREATE INDEX ix_sample_media_media_id ON sample_media (media_id);

CREATE TABLE selection_sample (
    selection_id {int} NOT NULL,
    sample_id {int} NOT NULL,
    "key" TEXT NOT NULL,
    position {int} NOT NULL,
    CONSTRAINT pk_selection_sample PRIMARY KEY (selection_id, sample_id),
    CONSTRAINT uq_selection_sample_selection_id_key UNIQUE (selection_id, "key"),
    CONSTRAINT uq_selection_sample_selection_id_position UNIQUE (selection_id, position),
    CONSTRAINT ck_selection_sample_position CHECK (position >= 0),
    CONSTRAINT fk_selection_sample_selection_id FOREIGN KEY(selection_id) REFERENCES selection (id),
    CONSTRAINT fk_selection_sample_sample_id FOREIGN KEY(sample_id) REFERENCES sample (id)
){unordered};

CREATE INDEX ix_selection_sample_sample_id ON selection_sample (sample_id);

CREATE TABLE failure (
    id {id},
    uid TEXT NOT NULL,
    run_id {int} NOT NULL,
    stage TEXT NOT NULL,
    sample_id {int},
    generation_id {int},
    judge_id {int},
    replicate {int} NOT NULL,
    attempt {int} NOT NULL,
    error_class TEXT NOT NULL,
    message TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    retryable {int} NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_failure PRIMARY KEY (id),
    CONSTRAINT uq_failure_uid UNIQUE (uid),
    CONSTRAINT ck_failure_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_failure_stage_word CHECK (stage IN ('generate', 'judge')),
    CONSTRAINT ck_failure_retryable_flag CHECK (retryable IN (0, 1)),
    CONSTRAINT ck_failure_index CHECK (replicate >= 0 AND attempt >= 1),
    CONSTRAINT ck_failure_stage CHECK (CASE stage WHEN 'generate' THEN generation_id IS NULL AND judge_id IS NULL ELSE sample_id IS NULL AND judge_id IS NOT NULL END),
    CONSTRAINT fk_failure_run_id FOREIGN KEY(run_id) REFERENCES run (id),
    CONSTRAINT fk_failure_sample_id FOREIGN KEY(sample_id) REFERENCES sample (id),
    CONSTRAINT fk_failure_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id),
    CONSTRAINT fk_failure_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id)
){strict};

CREATE INDEX ix_failure_fingerprint ON failure (fingerprint);

CREATE INDEX ix_failure_judge_id_generation_id ON failure (judge_id, generation_id);

CREATE INDEX ix_failure_run_id ON failure (run_id);

CREATE INDEX ix_failure_sample_id ON failure (sample_id);

CREATE TABLE finding_attribute (
    finding_id {int} NOT NULL,
    attribute TEXT NOT NULL,
    value {number} NOT NULL,
    CONSTRAINT pk_finding_attribute PRIMARY KEY (finding_id, attribute),
    CONSTRAINT ck_finding_attribute_value_finite CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    CONSTRAINT fk_finding_attribute_finding_id FOREIGN KEY(finding_id) REFERENCES finding (id)
){unordered};

CREATE TABLE score (
    id {id},
    judge_id {int} NOT NULL,
    generation_id {int} NOT NULL,
    finding_id {int} NOT NULL,
    replicate {int} NOT NULL,
    revision {int} NOT NULL,
    status TEXT NOT NULL,
    value {number},
    verdict TEXT,
    author TEXT,
    reason TEXT,
    run_id {int} NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_score PRIMARY KEY (id),
    CONSTRAINT ck_score_status_word CHECK (status IN ('ok', 'unparsed', 'judge_refused', 'abstained')),
    CONSTRAINT ck_score_verdict_word CHECK (verdict IN ('safe', 'unsafe', 'refused', 'not_refused')),
    CONSTRAINT ck_score_value_finite CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    CONSTRAINT ck_score_index CHECK (replicate >= 0 AND revision >= 0),
    CONSTRAINT ck_score_scored CHECK ((status = 'ok') = (value IS NOT NULL OR verdict IS NOT NULL)),
    CONSTRAINT ck_score_revised CHECK ((revision = 0) = (author IS NULL) AND (revision = 0) = (reason IS NULL)),
    CONSTRAINT uq_score_key UNIQUE (judge_id, generation_id, replicate, revision),
    CONSTRAINT fk_score_judge_id FOREIGN KEY(judge_id) REFERENCES judge (id),
    CONSTRAINT fk_score_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id),
    CONSTRAINT fk_score_finding_id FOREIGN KEY(finding_id) REFERENCES finding (id),
    CONSTRAINT fk_score_run_id FOREIGN KEY(run_id) REFERENCES run (id)
){strict};

CREATE INDEX ix_score_generation_id ON score (generation_id);

CREATE TABLE issue_link (
    id {id},
    issue_id {int} NOT NULL,
    fingerprint TEXT,
    run_id {int},
    generation_id {int},
    failure_id {int},
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_issue_link PRIMARY KEY (id),
    CONSTRAINT ck_issue_link_one CHECK ((fingerprint IS NOT NULL) <> (run_id IS NOT NULL)),
    CONSTRAINT fk_issue_link_issue_id FOREIGN KEY(issue_id) REFERENCES issue (id),
    CONSTRAINT fk_issue_link_run_id FOREIGN KEY(run_id) REFERENCES run (id),
    CONSTRAINT fk_issue_link_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id),
    CONSTRAINT fk_issue_link_failure_id FOREIGN KEY(failure_id) REFERENCES failure (id)
){strict};

CREATE INDEX ix_issue_link_fingerprint ON issue_link (fingerprint);

CREATE INDEX ix_issue_link_issue_id ON issue_link (issue_id);
