"""What the Python peers of the interoperability tests share."""
