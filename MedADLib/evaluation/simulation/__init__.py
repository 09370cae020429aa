"""Simulated lesions in healthy brains."""
