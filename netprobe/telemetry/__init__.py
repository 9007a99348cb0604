"""Sources of counters: what the system knows of the traffic, one file each."""
