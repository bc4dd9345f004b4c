"""Peers: what each figure stands beside. Each module says what its peer does, and what it does not do."""
