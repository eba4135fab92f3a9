"""Interprets request targets: routing, signatures, dialects and the policy of a mount."""
