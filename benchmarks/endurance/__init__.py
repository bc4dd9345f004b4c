"""Endurance: what is left of an exchange under twice the load it can take, after 200,000 calls, and with millions of accounts.

Each module measures one of these, against exchanges of its own, and returns what it found as figures and ratios.
"""
