"""What runs: the supervisor, its workers, and the periodic upkeep."""
