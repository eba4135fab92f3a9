"""State that survives a restart: purges, the variants of each original, jobs, usage."""
