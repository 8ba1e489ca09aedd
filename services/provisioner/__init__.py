"""The provisioner: turns what is wanted of a bay into a Heat stack and follows that to its end."""
