"""The desk: where completions are asked for and answered."""

from vicinal_daemon.desk.desk import Desk
from vicinal_daemon.desk.jobs import Job, document_of, folder_of, locate

__all__ = ["Desk", "Job", "document_of", "folder_of", "locate"]
