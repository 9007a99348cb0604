"""Who is to blame: pure functions from measurements to effects."""
