"""Runs of many nights: digests, trends, baselines, two runs side by side, and what is said of them. All of it pure."""
