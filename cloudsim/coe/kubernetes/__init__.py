"""A Kubernetes bay: nodes, pods, budgets, evictions, and the controllers that make them matter."""
