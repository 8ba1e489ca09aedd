"""`jeroboam bay`: the daily commands of who uses bays, over the public API as the `openstack` command."""
