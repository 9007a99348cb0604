"""Synthetic runs with known faults, in the shape of real ones; for tests and benchmarks."""
