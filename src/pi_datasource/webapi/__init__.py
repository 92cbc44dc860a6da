"""The HTTP client of PI Web API.

Sessions, sign-in, retries, rate limit, lists, data servers, and the codec of the batch endpoint; it knows no events and no
tables. Imports ``options`` and the root modules. Start with ``client``, then ``batch`` and ``envelope``.
"""
