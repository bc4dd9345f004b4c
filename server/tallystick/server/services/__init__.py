"""One package a capability."""
