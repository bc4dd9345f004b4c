"""Problems: what stops an operator's command, told in one line that says what to do."""


class Problem(Exception):  # noqa: N818 - what the operator has to set right, not a fault of the program
    """Its text is one line for the operator. It never holds a key, a password or a token."""
