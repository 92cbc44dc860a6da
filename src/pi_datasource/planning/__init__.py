"""Points and a window divided into tasks, after what a predicate excludes has been left out.

Imports ``points`` and everything below it. Start with ``tiling`` (pure), then ``planner``.
"""
