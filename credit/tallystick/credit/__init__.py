"""The credit trade, pure: code lists, validation, merging, overdue, screening; it knows no network and no database."""
