"""Records what a real cloud answers, so that the simulated one can be held against it (tests/cloudsim/recorded)."""
