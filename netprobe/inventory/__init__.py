"""What a host is made of and how it is set: facts, read once, where telemetry reads numbers again and again."""
