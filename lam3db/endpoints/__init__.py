"""HTTP endpoints of judges and models: one client with every fault it can meet."""
