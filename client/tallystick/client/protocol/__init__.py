"""The protocol: signed calls, receipts, retries, and the transport that carries them."""
