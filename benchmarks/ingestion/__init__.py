"""The parts of `benchmarks.pipeline`: a server with a clock, the measured Spark program, runs from the shell, the page."""
