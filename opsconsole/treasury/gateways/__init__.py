"""Bank gateways: how orders leave the console, and what is known of them outside. No ORM here."""
