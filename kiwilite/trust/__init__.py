"""Keys, signatures, and what they vouch for."""
