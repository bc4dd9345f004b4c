"""Files of accounts, applicants and decisions, as CSV and Parquet; their layout is docs/files.md's."""
