"""What a node must not forget: purges, what it has made of which original, and what is still to be made."""
