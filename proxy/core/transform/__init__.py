"""What is to be done with a picture."""
