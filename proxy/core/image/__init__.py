"""What the bytes of a picture tell without decoding its pixels."""
