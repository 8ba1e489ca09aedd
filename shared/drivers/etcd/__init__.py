"""Payload of masters whose store is etcd: how a member comes to a cluster that stands, and how it leaves."""
