"""The Tallystick server: one program, run as an exchange or as a token authority."""
