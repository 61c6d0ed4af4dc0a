"""The daemon: select -> tune -> generate -> score; the process, its API and the command line."""
