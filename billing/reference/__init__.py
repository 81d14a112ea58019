"""Facts from outside with a date: VAT rates, and the payment provider's own currency exponents. FX rates come with invoicing in other currencies."""
