-- The files of the dump that is being written.

CREATE TABLE dump_file (
    path   BLOB NOT NULL PRIMARY KEY,       -- relative to the root, with /
    bytes  INTEGER NOT NULL,
    sha256 BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The file that is half-written, if any.
CREATE TABLE dump_unfinished_file (
    path         BLOB NOT NULL PRIMARY KEY,
    bytes        INTEGER NOT NULL,          -- its length so far
    sha256_state BLOB NOT NULL,             -- of SHA-256 after these bytes
    position     BLOB NOT NULL              -- where its content goes on; the family knows
) STRICT, WITHOUT ROWID;

-- Names that cannot be turned back into their key.
CREATE TABLE dump_keymap (
    scope    TEXT NOT NULL,                 -- folder that gets the KEYMAP.jsonl
    original BLOB NOT NULL,
    encoded  TEXT NOT NULL,                 -- below the folder
    kind     TEXT NOT NULL,                 -- how the name came about
    PRIMARY KEY (scope, original)
) STRICT, WITHOUT ROWID;
