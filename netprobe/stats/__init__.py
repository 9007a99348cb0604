"""Quantiles, robust spread and bandwidth formulas; numpy arrays in, numpy arrays out."""
