"""Payment providers behind one port: Stripe through its own SDK, and the sandbox for development."""
