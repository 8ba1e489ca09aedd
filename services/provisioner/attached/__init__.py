"""What a bay's own services made in the cloud, beside its stacks: how it is known, found and removed."""
