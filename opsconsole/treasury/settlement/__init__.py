"""How payments end: what banks report, matched to what was sent."""
