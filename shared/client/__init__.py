"""A typed client of our own HTTP API, for the command line, the dashboard and the tests."""
