"""gRPC, TLS, and authentication from raw bytes: what stands between the network and the ledger."""
