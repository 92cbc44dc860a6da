"""The parts of `benchmarks.reading`: data, servers, readers, meters and the report."""
