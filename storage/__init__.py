"""Adapters to what keeps state outside the process: Azure Blob Storage, MongoDB, temporary workspaces."""
