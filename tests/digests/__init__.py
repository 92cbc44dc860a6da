"""Rows of a fixed set of reads, as they were when their digests were recorded.

`reads`, `streams` and `where` say what is read, `sites` from which servers, `digests.json` what came of it. When rows are
meant to change, `python -m tests.digests.write` shows which reads differ, and with `--accept` records them anew.
"""
