"""HTTP with PI Web API: sessions that sign in, retry and pace themselves, and the codec of the batch endpoint.

Imports ``options`` and the root modules; it knows no events and no tables. Start with ``client``, then ``batch``.
"""
