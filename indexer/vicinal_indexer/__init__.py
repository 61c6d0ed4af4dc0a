"""The index of a repository: files -> chunks -> vectors -> store -> candidates.

A library: it opens no sockets, trains nothing, and knows nothing of language models.
"""

import os

# Read when lancedb is loaded, by whichever module comes first; its warnings are not meant for users.
os.environ.setdefault("LANCEDB_LOG", "error")

__version__ = "0.1.0"
