"""The bodies of the HTTP API, as pydantic models, with Magnum's sentences for what is wrong with one."""
