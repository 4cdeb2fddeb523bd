"""One codec per on-disk format: a writer and a reader for the same structure. Bytes only."""
