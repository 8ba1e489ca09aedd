"""What nodes in swarm mode do beside running docker: the first manager begins, all others join."""
