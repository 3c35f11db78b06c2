"""Django's database engine for PostgreSQL, which takes a connection out of a pool without asking the server first."""
