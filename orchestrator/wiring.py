"""Who answers a port: the one place that knows the adapters. No logic."""
