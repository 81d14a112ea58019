"""What is asked of a provider, one file for each kind of object; `port` is the whole."""
