"""Programs that measure; each writes what it saw into ``benchmarks/results``."""
