"""The demo: three banks, a token authority, an exchange and an auditor at work on real repayment histories."""
