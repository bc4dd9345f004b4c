"""A request on its way: as a call, read, at work, answered. Each holds the one before it; ledger, log and services share them."""
