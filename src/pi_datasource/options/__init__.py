"""The options of the data source, each declared once.

Types, checks, secrets and documentation follow from that declaration. Imports the root modules only. Start with
``declaration``.
"""
