"""The deep examination of a database: every row that the log gives is held against it, in one snapshot, and what differs is named.

`examine_log` walks the entries once, in their order, with all rows that belong to each; each table has a module that says what its
rows must be.
"""
