"""Output formats; one file each, holding one REPORTER."""
