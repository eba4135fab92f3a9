"""This machine: its files and its processes."""
