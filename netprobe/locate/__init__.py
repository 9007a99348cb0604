"""Who is to blame: models over the matrix of pairs, and the search for the fewest culprits."""
