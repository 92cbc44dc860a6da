"""What the integration tests share: a clock to move, broken servers, and comparisons with the oracle."""
