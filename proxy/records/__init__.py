"""What a node writes down beside its tiers: purges, what it has made of which original, and what is still to be made."""
