"""Images and documents: reading, fetching and converting them."""
