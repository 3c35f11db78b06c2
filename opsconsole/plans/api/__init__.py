"""The API of plans: each door reads a request, calls one service, and renders what came of it."""
