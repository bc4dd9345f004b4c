"""What reading a bank's own book costs: a generated book, three engines on it, and the whole analysis."""
