"""Nova 2.1 as far as it is used: servers, flavors, key pairs, server groups, limits."""
