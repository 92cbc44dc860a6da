"""What `benchmarks.reading` is made of: data, servers, readers, meters and the report."""
