"""Experience: replay, contexts, batches."""
