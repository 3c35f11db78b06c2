"""Points that were not awarded: what there is to be found about it."""
