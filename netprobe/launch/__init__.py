"""Start ranks wherever they are wanted, and watch them."""
