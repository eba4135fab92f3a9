"""What is known of a picture without decoding it."""
