"""A simulated OpenStack over real HTTP, for the demo, tests and load. It is not a cloud: see README.md."""
