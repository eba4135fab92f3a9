"""Calotype: a self-hosted image CDN node."""

__version__ = "0.1.0"
