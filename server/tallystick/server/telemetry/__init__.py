"""What a server says about itself: metrics and its own log."""
