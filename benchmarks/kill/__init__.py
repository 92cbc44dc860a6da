"""The processes that the crash test runs and kills."""
