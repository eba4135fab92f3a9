"""What any place on the network has in common: how it fails, and how patiently it is asked."""
