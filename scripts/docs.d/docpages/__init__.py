"""Pages of the documentation that are made from the code. Nothing of it is part of netprobe."""
