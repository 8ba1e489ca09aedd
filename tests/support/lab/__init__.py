"""The node lab: Debian machines that boot with systemd and cloud-init, in containers on a network of their own.

What drivers render is judged here: the simulated cloud gives servers their user-data and addresses, the lab boots them,
and what runs on them then talks to the running services. See tests/nodes/README.md.
"""
