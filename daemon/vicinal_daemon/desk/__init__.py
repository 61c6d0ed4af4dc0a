"""The desk: where completions are asked for and answered."""

from vicinal_daemon.desk.desk import Desk
from vicinal_daemon.desk.jobs import Job, locate

__all__ = ["Desk", "Job", "locate"]
