"""`jeroboam doctor`: every prerequisite, looked at in the living cloud, with the command that mends what is missing."""
