"""In-memory twins of ports: `fleet` holds the world, `hosts` and `probes` answer for it; `notifier` keeps notices."""
