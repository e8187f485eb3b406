"""Files of named branches, ROOT and Parquet: a layout each."""
