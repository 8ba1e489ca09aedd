"""Mesos: a master with its agents and maintenance, and Marathon with its apps."""
