"""Accuracy of models on labelled and simulated lesions, with tables and figures."""
