"""What several suites share: real servers for the tests, and a proxy that breaks connections."""
