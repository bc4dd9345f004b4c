"""Drivers: they run flows over real connections, on threads or on an event loop."""
