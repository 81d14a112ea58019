"""What is allowed: budgets and their crossings. Quotas, restrictions and dunning have their place here and come later."""
