"""PostgreSQL: the tables, and connections that the event loop drives."""
