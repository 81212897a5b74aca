-- The tables of schema 0003, for both engines. Words in braces are the engine's own:
-- {id} {int} {number} {strict} {unordered}; see 0003_review.py. Never changed after release.

CREATE TABLE review (
    id {id},
    uid TEXT NOT NULL,
    name TEXT NOT NULL,
    seed {int} NOT NULL,
    spec TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_review PRIMARY KEY (id),
    CONSTRAINT uq_review_uid UNIQUE (uid),
    CONSTRAINT ck_review_uid_length CHECK (length(uid) = 36),
    CONSTRAINT uq_review_name UNIQUE (name),
    CONSTRAINT ck_review_name CHECK (length(name) > 0)
){strict};

CREATE TABLE review_part (
    generation_id {int} NOT NULL,
    part TEXT NOT NULL,
    CONSTRAINT pk_review_part PRIMARY KEY (generation_id),
    CONSTRAINT ck_review_part_part_word CHECK (part IN ('estimation', 'training')),
    CONSTRAINT uq_review_part_generation_id_part UNIQUE (generation_id, part),
    CONSTRAINT fk_review_part_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id)
){strict};

CREATE TABLE review_item (
    review_id {int} NOT NULL,
    position {int} NOT NULL,
    generation_id {int} NOT NULL,
    part TEXT NOT NULL,
    probability {number},
    CONSTRAINT pk_review_item PRIMARY KEY (review_id, position),
    CONSTRAINT ck_review_item_part_word CHECK (part IN ('estimation', 'training')),
    CONSTRAINT uq_review_item_review_id_generation_id UNIQUE (review_id, generation_id),
    CONSTRAINT fk_review_item_generation_id FOREIGN KEY(generation_id, part) REFERENCES review_part (generation_id, part),
    CONSTRAINT ck_review_item_position CHECK (position >= 0),
    CONSTRAINT ck_review_item_probability CHECK (probability > 0 AND probability <= 1),
    CONSTRAINT ck_review_item_drawn CHECK ((part = 'estimation') = (probability IS NOT NULL)),
    CONSTRAINT fk_review_item_review_id FOREIGN KEY(review_id) REFERENCES review (id)
){unordered};

CREATE INDEX ix_review_item_generation_id ON review_item (generation_id);
