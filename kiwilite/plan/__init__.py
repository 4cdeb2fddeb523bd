"""Pure functions: an appliance in; partitions, device stack and stage graph out."""
