"""What a variant is called, and how long it is fresh."""
