"""What holds on every version of Spark; run by scripts/matrix."""
