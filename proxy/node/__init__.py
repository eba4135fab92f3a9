"""Composition and processes: builds the parts of a node from its settings, and starts and stops them in order."""
