"""The file that lets everything that keeps an index fresh rest.

Owns its name, and how it is put there and taken away.
"""

from pathlib import Path

from vicinal_indexer.errors import StoreUnavailable


def pause_flag(data_dir: Path) -> Path:
    """While this file is there, nothing is indexed unless it is asked for (`vicinal pause`, `vicinal resume`)."""
    return data_dir / "paused"


def pause(data_dir: Path) -> None:
    """Put it there.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    flag = pause_flag(data_dir)
    try:
        flag.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flag.touch()
    except OSError as error:
        raise _unwritable(flag, error) from error


def resume(data_dir: Path) -> bool:
    """Take it away; whether it was there.

    Raises:
        StoreUnavailable: it cannot be removed.
    """
    flag = pause_flag(data_dir)
    try:
        flag.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unwritable(flag, error) from error
    return True


def _unwritable(flag: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{flag} cannot be written: {error}", hint="mend its folder's permissions")
