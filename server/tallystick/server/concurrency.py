"""What an operation raises when another transaction was quicker."""


class ConcurrentChangeError(Exception):
    """Another transaction made what this one was about to make; run again, it finds it."""
