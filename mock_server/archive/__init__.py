"""Reads of time series as the PI Data Archive computes them, from interpolation to performance equations.

It imports `plant` alone. Start with `interpolation`, whose `Reader` is one stream as of an instant.
"""
