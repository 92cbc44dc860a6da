"""Divides points x window into the tasks of a read. Pure.

Imports ``options`` and the root modules. Start with ``tiling``, then ``pruning``.
"""
