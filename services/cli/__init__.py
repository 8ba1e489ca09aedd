"""The command `jeroboam`: the whole system on this machine in one command, and the database's upkeep."""
