"""How it is paid: intents, providers behind one port, webhooks stored once and applied once, refunds by two persons (Law 6)."""
