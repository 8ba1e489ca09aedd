"""How a worker runs: it claims operations of its service, runs one step at a time, and writes what came of it."""
