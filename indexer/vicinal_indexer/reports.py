"""What a sync, a status or a glance says, made from the manifest.

Owns how rows become what users and other processes are told. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vicinal_indexer.rows import FileRow
from vicinal_indexer.types import FileStat, Skipped, SkipReason, SyncReport


def indexed(rows: Mapping[str, FileRow]) -> int:
    """How many files were read and not skipped."""
    return sum(not row.reason for row in rows.values())


def is_racy(row: FileRow, stat: FileStat) -> bool:
    """Whether a file is only read again because it was so new when it was read (`batch.RACY_NS`)."""
    return row.mtime_ns == -1 and row.size == stat.size


def all_skips(skipped: Sequence[Skipped], rows: Mapping[str, FileRow]) -> tuple[Skipped, ...]:
    """What the listing left out, and what was left out when it was read; by path."""
    stored = [Skipped(row.path, SkipReason(row.reason), row.detail) for row in rows.values() if row.reason]
    return tuple(sorted([*skipped, *stored], key=lambda skip: skip.path))


def report_from(said: Any) -> SyncReport:
    """The report that another process wrote as JSON (`cookies`)."""
    skips = [Skipped(path=s["path"], reason=SkipReason(s["reason"]), detail=s["detail"]) for s in said["skipped"]]
    return SyncReport(**{**said, "skipped": tuple(skips)})
