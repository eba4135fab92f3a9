"""The error that prevents a start."""


class ConfigError(Exception):
    """The configuration is invalid; the text is one line that names the key."""
