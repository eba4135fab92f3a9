"""Calotype beside its rivals, all in one run."""
