"""Frozen records that pass between the rooms of netprobe; no behaviour beyond their own invariants."""
