"""The plan types of treasury, one file each."""
