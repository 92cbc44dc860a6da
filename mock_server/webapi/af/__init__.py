"""The AF part of PI Web API: lookups, lists, searches and replies that the AF endpoints share.

It imports what `webapi` may import. Start with `lookup`, whose table lists every kind of object.
"""
