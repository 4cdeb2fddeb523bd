"""From XML text to a checked, resolved `Appliance`; mistakes become diagnostics with a place."""
