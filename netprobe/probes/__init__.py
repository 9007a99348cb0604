"""Measurements; one file each, holding one PROBE."""
