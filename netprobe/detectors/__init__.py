"""Families of faults; one file each, holding one DETECTOR."""
