"""The daemon's HTTP interface, version 1."""
