"""What is known of a member: handed out to them, and forgotten."""
