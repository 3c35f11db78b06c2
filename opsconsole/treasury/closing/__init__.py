"""How doors are closed: what a pause or a freeze reaches, what it stops, and what plans did to our own records."""
