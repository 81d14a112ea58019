"""Pages without sign-in: health for machines. The public verify page of invoices has its place here."""
