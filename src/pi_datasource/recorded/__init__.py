"""Reads the recorded events of a task into Arrow record batches.

Imports ``points`` and everything below it. Start with ``fetch``, which reads one task from its first call to its last.
"""
