"""Pages for people: the month of a watched portfolio, as one HTML file. The extra is `tallystick[page]`."""
