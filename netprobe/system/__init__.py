"""The edges to the operating system that counters and inventory are read over: files below a root, and netlink."""
