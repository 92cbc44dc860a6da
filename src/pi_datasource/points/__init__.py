"""Finds the points of a PI System, for one read or for a running stream.

Also what becomes of them over time, and about how many events they have. Imports ``webapi`` and everything below it.
Start with ``discovery``.
"""
