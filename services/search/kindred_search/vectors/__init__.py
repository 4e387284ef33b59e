"""The vector store: its port and its adapters."""
