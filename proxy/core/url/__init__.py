"""What a URL means here."""
