"""Pages for people, each one HTML file: the month of a watched portfolio, a book. The extra is `tallystick[page]`."""
