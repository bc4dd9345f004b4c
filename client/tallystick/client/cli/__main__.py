"""`python -m tallystick.client.cli`: the `tallystick` command where it is not on the path."""

from tallystick.client.cli import main

main()
