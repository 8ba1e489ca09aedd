"""What drivers share: the node agent, payload fragments and the list of every source that nodes fetch from."""
