"""The history of the schema; `kindred_kit.adapters.sql.Database.open` runs it."""
