"""The daemon's life: its place, its start and end, its logs, and how the system is told to run it.

Owns none of what it serves.
"""
