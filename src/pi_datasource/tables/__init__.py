"""The tables that can be read, each an entry of the registry.

Imports ``recorded`` and everything below it; Spark, the command line and the pipeline dispatch on it. Start with ``registry``.
"""
