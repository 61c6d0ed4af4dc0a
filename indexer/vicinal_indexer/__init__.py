"""The index of a repository: files -> chunks -> vectors -> store -> candidates.

A library: it opens no sockets, trains nothing, and knows nothing of language models.
"""

__version__ = "0.1.0"
