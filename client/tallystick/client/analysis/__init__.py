"""A bank's own book, counted where it lies: nothing of it is sent anywhere. The extra is `tallystick[analysis]`."""
