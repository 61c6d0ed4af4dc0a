"""The repositories that the daemon serves, each kept fresh by a thread of its own.

Owns which are open, their state, and the memory of them across restarts. Nothing heavy is imported before a repository
is opened. It does not know models, requests or the API.
"""

from vicinal_daemon.workspaces.pause import pause_flag
from vicinal_daemon.workspaces.registry import Workspaces
from vicinal_daemon.workspaces.workspace import Workspace

__all__ = ["Workspace", "Workspaces", "pause_flag"]
