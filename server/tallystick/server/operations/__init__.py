"""One module a kind of request: parse, set-based SQL, encoded answer."""
