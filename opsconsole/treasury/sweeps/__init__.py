"""How money is moved between settlement accounts of ours."""
