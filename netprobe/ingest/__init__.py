"""Outputs of other tools, as people paste them, turned into what the judges read."""
