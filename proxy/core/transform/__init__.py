"""Transforms, and the plans they resolve to."""
