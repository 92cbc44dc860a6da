"""The command line: the options of the simulator, its help, and the `oracle` command.

It may import every other package. Start with `mock_server.__main__`, which `python -m mock_server` runs.
"""
