"""Recorded events of points: from a task to Arrow record batches.

Imports ``planning`` and everything below it. Start with ``fetch``, which reads one task from its first call to its last.
"""
