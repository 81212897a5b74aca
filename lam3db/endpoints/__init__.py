"""HTTP endpoints of judges and models: one client with every fault it can meet.

:mod:`~lam3db.endpoints.client` is the door; each other file is one of the things it needs.
"""
