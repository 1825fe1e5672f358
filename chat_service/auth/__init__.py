"""Who somebody is: passwords, session tokens and signed tokens, and how often they may be tried."""
