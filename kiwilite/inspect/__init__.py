"""Finished images seen from the outside: what is in them, and whether they are sound."""
