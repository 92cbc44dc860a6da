"""The truth that results are compared with, computed without HTTP and in the plainest way.

It imports `plant` and nothing that answers calls, because it arbitrates. Start with `events`.
"""
