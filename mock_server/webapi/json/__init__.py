"""The JSON of time-series replies, assembled from columns as bytes.

It imports `plant` and the calls of `webapi`. Start with `streams` for bodies, then `events` for what is in them.
"""
