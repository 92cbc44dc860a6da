"""Tests of the data source core: no JVM, no public network, no waiting."""
