"""The history of the catalogue's schema; `kindred_search.catalogue.engine.upgrade` runs it."""
