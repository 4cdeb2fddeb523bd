"""The same image again under other conditions: which, where to get them, and carrying it out."""
