"""Runbooks that are carried out on the page: text in two languages, with live diagnostics, checks and buttons."""
