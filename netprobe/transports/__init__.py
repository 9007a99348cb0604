"""What carries the bytes under test."""
