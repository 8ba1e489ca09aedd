"""Docker Swarm on Fedora Atomic: the classic one (containers of their own) and swarm mode (docker's own)."""
