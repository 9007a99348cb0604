"""Detectors on histories, one file each; found by netprobe.registry."""
