"""The ledger: which algorithm each problem got, what else was tried, and what made each row."""
