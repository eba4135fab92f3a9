"""Our own processes: how those that answer requests ask the one that produces."""
