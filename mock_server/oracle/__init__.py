"""The truth that results are compared with, computed event by event and without HTTP.

It imports `plant` and nothing that answers calls, so that it can arbitrate. Start with `events`.
"""
