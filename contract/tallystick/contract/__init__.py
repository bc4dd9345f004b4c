"""The contract: everything on which a server and a client must agree, each thing once. No I/O, no gRPC, no database."""
