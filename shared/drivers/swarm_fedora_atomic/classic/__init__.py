"""What nodes of a classic Swarm run beside docker: etcd, flannel when asked for, swarm's manager and agents."""
