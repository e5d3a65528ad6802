CREATE TABLE identity (value TEXT NOT NULL);
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, label INTEGER NOT NULL, stamp TEXT NOT NULL,
    walk INTEGER NOT NULL, place INTEGER NOT NULL,
    failed INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX outcomes_by_key ON outcomes (key);
CREATE INDEX outcomes_by_place ON outcomes (place);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, command TEXT NOT NULL, images INTEGER NOT NULL,
    seconds REAL NOT NULL
)
