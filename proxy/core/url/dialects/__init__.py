"""URL dialects: raw request target <-> (key, Transform), one file a dialect."""
