"""From a run to a report: evidence, detectors, verdict and figures."""
