"""What loyalty decides: a room for each noun."""
