"""What a server is on disk: settings, key folder, certificates, database."""
