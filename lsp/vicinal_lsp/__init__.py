"""The language server: a thin client of the daemon. It imports neither torch nor lancedb."""
