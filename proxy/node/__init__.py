"""Composition and processes: settings become parts, parts become a node that starts and stops in order."""
