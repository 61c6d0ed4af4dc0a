"""The file of a database of answers: its tables, its versions, and what becomes of one that cannot be used.

Owns the schema, and how a file of an earlier version is brought up to date, one of a later version set aside and taken
back, a damaged one set aside. It does not know what is asked of the tables.
"""

import logging
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from vicinal_indexer.errors import WrittenByLater

VERSION = 2
"""1: without the column `repository`, and without the last five of `AnswerFeatures`; it is brought up to date in
place."""

KEPT = 50_000
"""Answers that are kept; the oldest give way when the file is opened."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREAD = re.compile(r"unable to get the page\. error code=(\d+)")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY, at REAL NOT NULL, features TEXT NOT NULL, repository TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_time ON answers (at);
CREATE INDEX IF NOT EXISTS answers_by_repository ON answers (repository, at);
CREATE TABLE IF NOT EXISTS outcomes (
    answer TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    accepted_characters INTEGER,
    kept_share REAL,
    after_seconds REAL
);
CREATE INDEX IF NOT EXISTS outcomes_by_answer ON outcomes (answer);
CREATE TABLE IF NOT EXISTS sources (
    answer TEXT PRIMARY KEY REFERENCES answers (id) ON DELETE CASCADE,
    names TEXT NOT NULL
) WITHOUT ROWID;
"""
_log = logging.getLogger(__name__)


def open_database(file: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if absent, and begun anew if it cannot be used; the old one is kept.

    Raises:
        sqlite3.Error: it cannot be opened or written just now.
        WrittenByLater: a later Vicinal has it open.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(file)
    except _Later as error:
        _set_aside(file, str(error), f"later-{error.version}")
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        _set_aside(file, str(error))
    return _connect(file)


def set_aside(file: Path) -> list[Path]:
    """What was set aside of the database in `file`."""
    return [aside for kind in ("damaged", "later") for aside in file.parent.glob(f"{file.name}.{kind}-*")]


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=10.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if (unread := _UNREAD.search(said)) and int(unread[1]) & 0xFF not in _DAMAGED:
            raise sqlite3.OperationalError(said)  # the disk did not give a page; what is in it may be good
        if said != "ok" or version < 0:
            raise _Damaged(said if said != "ok" else f"it is of version {version}")
        if version > VERSION:
            _become_one_file(connection, file)
            raise _Later(version)
        if version == 1:
            _bring_up_to_date(connection)
        connection.executescript(_SCHEMA)
        for aside in file.parent.glob(f"{file.name}.later-*"):
            _take_back(connection, aside)
        with connection:
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(
                "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (KEPT,),
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _set_aside(file: Path, reason: str, kind: str = "damaged") -> None:
    number = 1
    while (aside := file.with_name(f"{file.name}.{kind}-{number}")).exists():
        number += 1
    _log.warning("%s cannot be used (%s); it is kept as %s, and begun anew", file, reason, aside.name)
    for suffix in ("", "-wal"):  # what was not yet taken over from the log belongs to it
        with suppress(FileNotFoundError):
            file.with_name(file.name + suffix).replace(aside.with_name(aside.name + suffix))
    file.with_name(file.name + "-shm").unlink(missing_ok=True)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """From version 1. Two processes may do it at once: the second finds it done."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(answers)")}
        if "repository" not in columns:
            connection.execute("ALTER TABLE answers ADD COLUMN repository TEXT NOT NULL DEFAULT ''")


def _become_one_file(connection: sqlite3.Connection, file: Path) -> None:
    """Bring what lies beside the database into it, so that it can be moved.

    Raises:
        WrittenByLater: another process has it open.
    """
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        raise WrittenByLater(f"{file} is in use by a later Vicinal") from error
    if mode != "delete":
        raise WrittenByLater(f"{file} is in use by a later Vicinal")


def _take_back(connection: sqlite3.Connection, aside: Path) -> None:
    """Take over what an earlier version set aside as of this version. Killed on the way, it is done again."""
    with closing(sqlite3.connect(aside)) as other:
        version = other.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        return
    connection.execute("ATTACH ? AS aside", (str(aside),))
    try:
        with connection:
            connection.execute("INSERT OR IGNORE INTO answers SELECT id, at, features, repository FROM aside.answers")
            connection.execute(
                "INSERT INTO outcomes SELECT * FROM aside.outcomes AS old"
                " WHERE NOT EXISTS (SELECT 1 FROM main.outcomes AS ours WHERE ours.answer = old.answer)"
            )
            connection.execute("INSERT OR IGNORE INTO sources SELECT answer, names FROM aside.sources")
    finally:
        connection.execute("DETACH aside")
    aside.unlink(missing_ok=True)
    _log.warning("%s is taken back", aside.name)


class _Later(sqlite3.DatabaseError):
    """A later version wrote the file."""

    def __init__(self, version: int) -> None:
        super().__init__(f"a later Vicinal wrote it: version {version}, this one reads {VERSION}")
        self.version = version


class _Damaged(sqlite3.DatabaseError):
    """The file is readable but not what we wrote."""


def is_damage(error: BaseException) -> bool:
    """Whether the file is not what we wrote."""
    return isinstance(error, _Damaged) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED
