"""Names in metadata, certificates and statuses (docs/protocol.md, "Transport" and "Errors")."""

from typing import Final

RECEIPT_KEY: Final = "tallystick-receipt-bin"
"""Trailing metadata: the serialised receipt."""
STATUS_KEY: Final = "grpc-status-details-bin"
"""Trailing metadata: the serialised google.rpc.Status of a refusal."""
ERROR_DOMAIN: Final = "tallystick"
"""The domain of every google.rpc.ErrorInfo."""
LEFT_KEY: Final = "left"
"""In the metadata of a google.rpc.ErrorInfo: how much of a limit is left, a whole number in decimal."""
MEMBER_URI: Final = "urn:tallystick:member:"
"""What the URI of a client certificate begins with; the member_id follows."""
