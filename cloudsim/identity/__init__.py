"""Keystone v3 as far as used: tokens of four methods, catalog, trusts, application credentials, role assignments."""
