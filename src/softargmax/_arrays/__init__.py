"""Arrays of any library: their namespaces, and the checks of arguments."""
