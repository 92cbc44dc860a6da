"""Faults of servers, proxies and networks of which the simulator knows nothing."""
