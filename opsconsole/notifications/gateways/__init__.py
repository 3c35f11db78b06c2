"""Ways out: each hands one message to one receiver and says what came of it. They know no database."""
