-- The tables of schema 0006, for both engines. Words in braces are the engine's own:
-- {id} {int} {strict}; see 0006_copies.py. Never changed after release.

CREATE TABLE stored_copy (
    id {id},
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    host TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at {int} NOT NULL,
    CONSTRAINT pk_stored_copy PRIMARY KEY (id),
    CONSTRAINT uq_stored_copy_uid UNIQUE (uid),
    CONSTRAINT ck_stored_copy_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_stored_copy_kind_word CHECK (kind IN ('backup', 'bundle'))
){strict};
