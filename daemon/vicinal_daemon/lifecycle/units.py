"""Tell the system to run the daemon: a systemd user unit, a launchd agent.

Owns their texts and where they lie. The texts are pure functions; only `install` and `uninstall` touch anything, and
only a file that Vicinal wrote.
"""

import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers.expat import ExpatError

from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ConfigError, DaemonError
from vicinal_daemon.place import daemon_command, log_folder
from vicinal_indexer.errors import InputError

LABEL: Final = "vicinal.daemon"
UNIT: Final = "vicinal.service"
STOP_SECONDS: Final = 30
"""How long the system waits for the daemon to end: longer than the daemon gives itself."""

_PLAIN_PATH: Final = "install vicinal under a path without such characters"
_MARK: Final = "# Written by `vicinal daemon install`; `vicinal daemon uninstall` removes it."


@dataclass(frozen=True, slots=True)
class Unit:
    """A file that makes the system run the daemon, and the commands that put it in force and out of it."""

    file: Path
    text: str
    enable: tuple[tuple[str, ...], ...]
    disable: tuple[tuple[str, ...], ...]


def systemd_unit(command: Sequence[str]) -> str:
    """The text of a systemd user unit that runs `command`.

    Raises:
        InputError: an argument has a control character, or the program's path a quote or a backslash; systemd refuses
            such units.
    """
    if any(letter in command[0] for letter in "\"'\\"):
        raise InputError(f"a systemd unit cannot run {command[0]!r}", hint=_PLAIN_PATH)
    # `:` keeps systemd from replacing $NAME in the arguments.
    words = " ".join([_systemd_word(":" + command[0]), *(_systemd_word(word) for word in command[1:])])
    return f"""{_MARK}
[Unit]
Description=Vicinal, a local coding assistant

[Service]
Type=exec
ExecStart={words}
Restart=on-failure
RestartSec=5
# 2: the settings are wrong; 5: another daemon runs. Trying again mends neither.
RestartPreventExitStatus=2 5
# Only the daemon is told to end; it ends what it has started.
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in word):
        raise InputError(f"a systemd unit cannot name {word!r}", hint=_PLAIN_PATH)
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def launchd_plist(command: Sequence[str], errors: Path) -> str:
    """The text of a launchd agent that runs `command`, its stderr appended to `errors`."""
    agent = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        # Not after a mere failure: the settings are wrong, or another daemon runs.
        "KeepAlive": {"Crashed": True},
        "ExitTimeOut": STOP_SECONDS,
        "Umask": 0o077,
        "StandardErrorPath": str(errors),
    }
    return plistlib.dumps(agent).decode("utf-8")


def unit_for(settings: Settings) -> Unit:
    """The unit of this platform, this interpreter and these settings.

    Raises:
        InputError: this platform has neither; the hint has the command for what it has.
    """
    command = daemon_command()
    if sys.platform == "win32":
        quoted = subprocess.list2cmdline(command)
        task = subprocess.list2cmdline(["schtasks", "/Create", "/SC", "ONLOGON", "/TN", "vicinal", "/TR", quoted])
        raise InputError("Windows has no units for daemons of users", hint=f"use the Task Scheduler: {task}")
    if sys.platform == "darwin":
        file = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        session = f"gui/{os.getuid()}"
        return Unit(
            file,
            launchd_plist(command, log_folder(settings) / "daemon.err"),
            enable=(("launchctl", "bootstrap", session, str(file)),),
            disable=(("launchctl", "bootout", f"{session}/{LABEL}"),),
        )
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    systemctl = ("systemctl", "--user")
    return Unit(
        home / "systemd" / "user" / UNIT,
        systemd_unit(command),
        enable=((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", UNIT)),
        disable=((*systemctl, "disable", "--now", UNIT), (*systemctl, "daemon-reload")),
    )


def install(unit: Unit) -> None:
    """Write the unit's file; nothing runs yet.

    Raises:
        InputError: a file of that name is there that Vicinal did not write.
        ConfigError: it cannot be written.
    """
    installed(unit)
    try:
        unit.file.parent.mkdir(parents=True, exist_ok=True)
        unit.file.write_text(unit.text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{unit.file} cannot be written: {error}") from error


def uninstall(unit: Unit) -> None:
    """Remove the unit's file.

    Raises:
        InputError: Vicinal did not write it.
        ConfigError: it cannot be removed.
    """
    if installed(unit):
        try:
            unit.file.unlink()
        except OSError as error:
            raise ConfigError(f"{unit.file} cannot be removed: {error}") from error


def installed(unit: Unit) -> bool:
    """Whether the unit's file is there.

    Raises:
        InputError: it is, but Vicinal did not write it.
    """
    try:
        content = unit.file.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"{unit.file} cannot be read: {error}") from error
    if not content.startswith(_MARK.encode()) and _label(content) != LABEL:
        raise InputError(f"{unit.file} was not written by vicinal", hint="move it away if you do not need it")
    return True


def carry_out(commands: Sequence[Sequence[str]]) -> None:
    """Run the commands that put a unit in force or out of it.

    Raises:
        DaemonError: the system's tool is not here, or refuses; the hint has what is left to run.
    """
    for number, command in enumerate(commands):
        rest = " && ".join(" ".join(words) for words in commands[number:])
        if shutil.which(command[0]) is None:
            raise DaemonError(f"there is no {command[0]} on this machine", hint="`vicinal daemon start` needs none")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip() or f"exit code {done.returncode}"
            raise DaemonError(f"{' '.join(command)}: {reason}", hint=f"to do by hand: {rest}")


def _label(content: bytes) -> object:
    """The label of a launchd agent; None if it is none."""
    try:
        agent = plistlib.loads(content)
    except (plistlib.InvalidFileException, ExpatError, ValueError):
        return None
    return agent.get("Label") if isinstance(agent, dict) else None
