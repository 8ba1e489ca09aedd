"""Drivers: what a bay of one (server type, operating system, COE) looks like as a Heat stack. Pure, no I/O."""
