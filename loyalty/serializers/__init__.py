"""The JSON of loyalty, a room for each noun: camelCase, points as whole numbers, budgets and rates as strings."""
