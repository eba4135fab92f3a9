"""What the nodes of a fleet share over Redis: presence flags, leases, the purge log."""
