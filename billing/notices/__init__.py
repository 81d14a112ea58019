"""What people are told: the relay that carries outbox rows to e-mail; in-app and webhooks come with preferences."""
