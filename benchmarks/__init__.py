"""Benchmarks; each writes its results into ``benchmarks/results``."""
