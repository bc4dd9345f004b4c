"""The log behind its entries: hash tiles, proofs and signed checkpoints (RFC 6962; C2SP tlog-tiles and
tlog-checkpoint)."""
