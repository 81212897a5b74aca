"""Judges: answers to findings."""
