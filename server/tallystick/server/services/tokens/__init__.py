"""Tokens: blinded identities that the authority evaluates (tallystick.v1.SubjectTokenService)."""
