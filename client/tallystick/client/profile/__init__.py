"""The profile folder: keys, addresses, and what the SDK keeps between runs."""
