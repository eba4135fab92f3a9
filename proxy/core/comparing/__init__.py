"""The comparison of two servers that answer the same URLs."""
