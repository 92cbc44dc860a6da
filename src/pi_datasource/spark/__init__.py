"""Spark's DataSource API over the tables: batch reader, stream reader, ``read(where=...)``.

Imports ``tables`` and everything below it, and pyspark. Start with ``datasource``.
"""
