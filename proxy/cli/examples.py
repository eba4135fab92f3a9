"""Examples in help texts."""


def example(line: str) -> str:
    """An example for the help text, on one line."""
    return f"\b\nExample:\n  {line}"
