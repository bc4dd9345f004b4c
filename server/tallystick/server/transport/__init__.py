"""gRPC, TLS, and authentication from raw bytes: what lies between the network and the ledger."""
