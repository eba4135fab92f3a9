"""Calotype: a self-hosted image CDN node."""
