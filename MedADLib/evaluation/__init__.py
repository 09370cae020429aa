"""How good models are: on labelled and simulated lesions, with tables and figures."""
