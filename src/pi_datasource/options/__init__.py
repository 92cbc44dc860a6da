"""Every option, declared once: types, checks, secrets and documentation come from that declaration.

Imports the modules at the root of the package; no other package. Start with ``declaration``.
"""
