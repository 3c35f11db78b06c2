"""How payouts come in, are taken hold of by plans, and go out to banks."""
