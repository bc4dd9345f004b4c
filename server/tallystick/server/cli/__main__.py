"""`python -m tallystick.server.cli`: the `tallystickd` command where it is not on the path."""

from tallystick.server.cli import main

main()
