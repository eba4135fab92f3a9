"""The public listener."""
