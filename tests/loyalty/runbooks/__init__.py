"""The runbooks' own commands, as an operator pastes them into a shell."""
