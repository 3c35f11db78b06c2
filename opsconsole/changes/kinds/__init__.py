"""The kinds of change that the floor itself knows; the apps above register theirs."""
