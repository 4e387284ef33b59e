"""Where images come from beside folders: lists of URLs, tables, WebDataset tars, object stores."""
