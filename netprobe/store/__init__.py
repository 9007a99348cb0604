"""Run directories: written record by record, read back as tables."""
