"""The books: double entry that cannot be written unbalanced (Law 3), chained (Law 4), balances read and never kept (Law 5)."""
