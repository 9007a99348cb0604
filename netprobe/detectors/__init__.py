"""Fault families; one file each, holding one DETECTOR."""
