"""What people who work on the console run: checks, environments, pictures, the offline verifier of the journal."""
