"""What an operator asks, as values."""
