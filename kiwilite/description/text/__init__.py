"""The text of a description as its author wrote it: what rewrites it works on this."""
