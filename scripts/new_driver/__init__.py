"""`make new-driver`: the beginning of a driver, which keeps the contract from the first minute."""
