"""What the counters of every NIC driver mean: one table for all, since drivers borrow each other's names."""
