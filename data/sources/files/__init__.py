"""Files as they are downloaded, read within bounds: what the recipes share."""
