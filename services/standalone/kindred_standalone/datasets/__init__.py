"""What `kindred dataset` does: orders from arguments and folders, watched to the end; archives fetched and unpacked."""
