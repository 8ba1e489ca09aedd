"""The simulated Heat: HOT templates, nested stacks and their lifecycle over the real HTTP API v1.

Reading order: `template` and `values` (what a template is), `functions`, `parameters`, `environment`, `schema` +
`types.txt` (which properties a type has, which of them replace), `stack` (state), `engine` and `lifecycle` (what
runs), `resources/` (one file per service), `router` (HTTP).
"""
