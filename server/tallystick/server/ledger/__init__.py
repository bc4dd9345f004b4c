"""The one path of every request: authenticate, admit, run, log, commit, answer."""
