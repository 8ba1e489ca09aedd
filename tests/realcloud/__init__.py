"""Bays on a real OpenStack, by its own clients and with its own tokens, with our services beside it as processes.

What may be set, beside what tests/support/realcloud.py says of the cloud itself:

JEROBOAM_REALCLOUD                      all (`make test-realcloud`): a bay of each driver, and what takes long; or names
JEROBOAM_TEST_API_HOST                  the address of this machine on which servers reach our API; else 127.0.0.1
JEROBOAM_TEST_HEAT_NOTIFICATIONS_URL    amqp://… on which the cloud's Heat notifies
JEROBOAM_TEST_CLOUD_PLAYS_NODES         1 or 0: whether the nodes' part is played; else it is on loopback
JEROBOAM_TEST_CLOUD_FAULT               a command that breaks the cloud and mends it (tests/realheat/minicloud/fault)
"""
