"""Which points there are: discovery, changes over time, and counts of their events.

Imports ``webapi`` and everything below it. Start with ``discovery``.
"""
