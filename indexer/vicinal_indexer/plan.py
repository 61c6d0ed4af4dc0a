"""What a sync has to do: the files on disk against the files in the store.

Owns the decision. Pure; it does not know how it is carried out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vicinal_indexer.types import FileStat


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to read because they are new or look changed, and stored paths that are gone; all sorted by path."""

    add: tuple[FileStat, ...]
    replace: tuple[FileStat, ...]
    drop: tuple[str, ...]


def plan(disk: Iterable[FileStat], stored: Mapping[str, FileStat]) -> Plan:
    """Compare by size and modification time, as make and git do; contents are compared after reading."""
    seen = {stat.path: stat for stat in sorted(disk, key=lambda stat: stat.path)}
    return Plan(
        add=tuple(stat for path, stat in seen.items() if path not in stored),
        replace=tuple(stat for path, stat in seen.items() if path in stored and stored[path] != stat),
        drop=tuple(sorted(stored.keys() - seen.keys())),
    )
