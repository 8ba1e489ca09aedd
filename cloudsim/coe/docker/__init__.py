"""Docker: swarm mode with its nodes, services and tasks; and classic Swarm as far as it looks after containers."""
