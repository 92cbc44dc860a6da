"""Checkpoints and tables that earlier code has written, for the code of today to go on from.

Each folder here is a generation: what `write` wrote with the code of its time. `scenario` says of which plant, and when.
"""
