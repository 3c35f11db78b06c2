"""The doors of the API: a room for each noun."""
