"""What became of answers, in one small database.

Owns the file: what was told of each answer when it was given, and what its user did with it. Numbers and a few words,
no code. It does not know how they are turned into a calibration.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from vicinal_daemon.uncertainty.database import is_damage, open_database, set_aside
from vicinal_indexer.errors import InputError, StoreUnavailable
from vicinal_indexer.types import digest

EventName = Literal["shown", "accepted", "partly", "rejected", "survived"]
_OUTCOMES = "SELECT answer, event, accepted_characters, kept_share, after_seconds"


def feedback_file(data_dir: Path) -> Path:
    """Where the database lies."""
    return data_dir / "feedback.sqlite"


@dataclass(frozen=True, slots=True)
class AnswerFeatures:
    """What was known of an answer when it was given. Of its text only the length is kept.

    Attributes:
        value: the confidence that was shown, in [0, 1].
        sigma_0, sigma_n, sigma_inf: see `select.Selection`.
        explained, token_probability, least_probability: see `uncertainty.Confidence`.
        tokens, characters, lines: of the text that was shown.
        kind: of the adaptation.
        steps: gradient steps behind it.
        nearness: of a cached adapter's selection to this one.
        trigger: `invoked` or `automatic`.
        language: of the document, "" if not known.
        model: its name.
        shown_tokens, first_entropy, similarity, change: see `uncertainty.features.Clues`; None in what was told before
            they were known, which then teaches the calibration nothing.
        repository: a digest of where it lies, "" if it has none.
    """

    value: float
    sigma_0: float
    sigma_n: float
    sigma_inf: float
    explained: float
    token_probability: float
    least_probability: float
    tokens: int
    characters: int
    lines: int
    kind: str
    steps: int
    nearness: float
    trigger: str
    language: str
    model: str
    shown_tokens: int | None = None
    first_entropy: float | None = None
    similarity: float | None = None
    change: float | None = None
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an answer (`protocol.requests.FeedbackRequest`)."""

    event: EventName
    accepted_characters: int | None = None
    kept_share: float | None = None
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An answer and what became of it, in order. `at` in seconds since the epoch."""

    id: str
    at: float
    features: AnswerFeatures
    outcomes: tuple[Outcome, ...]


class FeedbackStore:
    """The database. Safe to use from many threads, also of several processes.

    A file that is damaged, or of a later version, is set aside under another name and begun anew, with a warning. What
    was set aside for its version comes back once this is that version.

    Args:
        file: made if absent.
        now: seconds since the epoch. It may jump: the order of answers is kept.

    Raises:
        StoreUnavailable: it cannot be opened or written.
        WrittenByLater: a later version has it open.
    """

    def __init__(self, file: Path, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with self._using():
            pass

    def record_answer(self, answer: str, features: AnswerFeatures, paths: Collection[str] = ()) -> None:
        """Note an answer that was given; the same id again replaces what was told of it.

        Args:
            paths: of the repository's files that it rests on; digests of them are kept, for `forget`.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        with self._using() as connection:
            newest = connection.execute("SELECT max(at) FROM answers").fetchone()[0]
            at = self._now() if newest is None else max(self._now(), newest + 0.001)
            row = (answer, at, json.dumps(asdict(features)), features.repository)
            connection.execute(
                "INSERT INTO answers (id, at, features, repository) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET features = excluded.features, repository = excluded.repository",
                row,
            )
            names = " ".join(sorted({_name(part) for path in paths for part in _with_folders(path)}))
            connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (answer, names))

    def record(self, answer: str, outcome: Outcome) -> None:
        """Note what became of an answer.

        Raises:
            InputError: there is no such answer.
            StoreUnavailable: it cannot be written.
        """
        row = (answer, self._now(), *(getattr(outcome, name) for name in outcome.__slots__))
        with self._using() as connection:
            if connection.execute("SELECT 1 FROM answers WHERE id = ?", (answer,)).fetchone() is None:
                raise InputError(
                    f"there is no answer {answer}", hint="its id is in the answer; very old ones are forgotten"
                )
            connection.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", row)

    def told(self) -> list[Told]:
        """All answers, the oldest first, each with what became of it."""
        with self._using() as connection:
            return _told(
                connection.execute("SELECT id, at, features FROM answers ORDER BY at, id").fetchall(),
                connection.execute(f"{_OUTCOMES} FROM outcomes ORDER BY rowid").fetchall(),
            )

    def told_of(self, repository: str, limit: int) -> list[Told]:
        """The last `limit` answers of a repository of which something became, the oldest first.

        Args:
            repository: as in `AnswerFeatures`.
        """
        with self._using() as connection:
            answers = connection.execute(
                "SELECT id, at, features FROM answers WHERE repository = ?"
                " AND EXISTS (SELECT 1 FROM outcomes WHERE answer = id) ORDER BY at DESC, id DESC LIMIT ?",
                (repository, limit),
            ).fetchall()
            outcomes = [
                row
                for answer, *_ in answers
                for row in connection.execute(f"{_OUTCOMES} FROM outcomes WHERE answer = ? ORDER BY rowid", (answer,))
            ]
        return _told(answers[::-1], outcomes)

    def repository_of(self, answer: str) -> str:
        """Of an answer that was recorded, as in `AnswerFeatures`; "" if it has none."""
        with self._using() as connection:
            row = connection.execute("SELECT repository FROM answers WHERE id = ?", (answer,)).fetchone()
        return str(row[0]) if row is not None else ""

    def forget(self, repository: str, paths: Collection[str] | None) -> int:
        """Forget a repository's answers that rest on one of these files or folders; says how many there were.

        An answer that an older version noted goes too: it is not known what it rests on. So does what was set aside.

        Args:
            repository: as in `AnswerFeatures`.
            paths: None for all of its answers.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        wanted = None if paths is None else {_name(path) for path in paths}
        with self._using() as connection:
            rows = connection.execute(
                "SELECT id, names FROM answers LEFT JOIN sources ON answer = id WHERE repository = ?", (repository,)
            ).fetchall()
            gone = [
                (answer,)
                for answer, names in rows
                if wanted is None or names is None or not wanted.isdisjoint(names.split())
            ]
            connection.executemany("DELETE FROM answers WHERE id = ?", gone)
        self._clean()
        return len(gone)

    def erase(self) -> None:
        """Forget everything, also what was set aside.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        with self._using() as connection:
            connection.execute("DELETE FROM outcomes")
            connection.execute("DELETE FROM answers")
        self._clean()

    def _clean(self) -> None:
        """Let nothing that was deleted stay in the file, and nothing next to it."""
        with self._using() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for aside in set_aside(self._file):
                aside.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work: all of it is written, or nothing."""
        with self._lock:
            try:
                connection = self._opened()
                with connection:
                    yield connection
            except (sqlite3.Error, OSError) as error:
                if is_damage(error):  # or a read that failed: whoever opens it next looks at all of it, and decides
                    self.close()
                raise StoreUnavailable(
                    f"the feedback in {self._file} cannot be read or written: {error}",
                    hint="free some disk space or mend the permissions, or set index.data_dir to another folder",
                ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self._file)
        return self._connection


def _told(answers: Sequence[Any], outcomes: Sequence[Any]) -> list[Told]:
    became: dict[str, list[Outcome]] = {}
    for answer, *said in outcomes:
        became.setdefault(answer, []).append(Outcome(*said))
    return [
        Told(answer, at, AnswerFeatures(**json.loads(features)), tuple(became.get(answer, ())))
        for answer, at, features in answers
    ]


def _name(path: str) -> str:
    """What a file or folder is called here, where no paths are."""
    return digest(path)[:12]


def _with_folders(path: str) -> list[str]:
    """A path and the folders above it: whoever forgets a folder forgets what is in it."""
    return [path, *(str(above) for above in PurePosixPath(path).parents if above.name)]
