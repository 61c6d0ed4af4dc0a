"""The root of Vicinal's error tree and the errors of the indexer.

Owns how an error presents itself: what happened, what to do about it, and the process's exit code.
It does not know how errors are printed.

    VicinalError (exit 1)
    ├── InputError (exit 2)            the request cannot be right: a path outside the repo, a line past the end
    ├── WrittenByLater                 what is on disk is a later Vicinal's; it is left as it is
    └── IndexingError (exit 3)         the index cannot be read or written
        ├── StoreUnavailable           the data folder cannot be written, the disk is full
        ├── StoreLocked                another process is writing this store
        ├── StoreDamaged               what is stored cannot be read or is not what was written; `index` rebuilds it
        ├── RepositoryUnreadable       the machine does not let its files be listed just now
        ├── NotForgotten               lines of what was forgotten are still in the data folder
    ├── EncoderMissing             the package that runs sentence encoders is not installed
        └── EncoderUnusable            a sentence encoder is not on this machine, or cannot be loaded
"""

from typing import ClassVar


class VicinalError(Exception):
    """An expected failure: `message` says what happened, `hint` what to do about it.

    A class whose errors all have one remedy names it in `remedy`; a `hint` given at the raise is more exact.
    """

    exit_code: ClassVar[int] = 1
    remedy: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.remedy


class InputError(VicinalError):
    """The request cannot be right, whatever the state of the machine."""

    exit_code = 2


class WrittenByLater(VicinalError):
    """What is on disk was written by a later version of Vicinal than this one. It is neither read nor replaced."""

    remedy = "update this Vicinal, or end it where both versions are in use"


class IndexingError(VicinalError):
    """The index cannot be read or written."""

    exit_code = 3


class StoreUnavailable(IndexingError):
    """The store's folder cannot be written: permissions, a read-only or full disk."""


class StoreLocked(IndexingError):
    """Another process is writing this store."""


class StoreDamaged(IndexingError):
    """What is stored cannot be read, or is not what was written. The index answers by building it anew."""

    remedy = "`vicinal index --rebuild` builds it anew from your files"


class RepositoryUnreadable(IndexingError):
    """Folders or ignore files of the repository cannot be read for a reason that is not theirs. What is indexed stays:
    files that were not seen are not gone, and what an unread ignore file leaves out must not come in."""

    remedy = "close other programs or raise the limit of open files (ulimit -n); if it recurs, check the disk"


class NotForgotten(IndexingError):
    """Lines of what was forgotten are still in the data folder."""


class EncoderMissing(IndexingError):
    """The package that runs sentence encoders is not installed."""

    remedy = 'install it: pip install "vicinal[encoders]"'


class EncoderUnusable(IndexingError):
    """A sentence encoder is not on this machine, or cannot be loaded."""

    remedy = "name a folder in the format of sentence-transformers; encoders are never fetched by themselves"
