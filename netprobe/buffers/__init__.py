"""The memory under test, and the patterns that prove it arrived."""
