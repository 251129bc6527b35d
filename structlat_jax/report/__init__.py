"""Host only: files, tables and pictures."""
