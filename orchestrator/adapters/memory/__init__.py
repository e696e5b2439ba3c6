"""In-memory twins of the ports that lead to hosts: `fleet` holds the world, `hosts` and `probes` answer the ports."""
