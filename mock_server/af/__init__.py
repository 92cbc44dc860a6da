"""The Asset Framework: what the plant's tags belong to, computed from them and from a declared design."""
