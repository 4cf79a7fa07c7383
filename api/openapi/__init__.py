"""What the service says about itself: the parts of its OpenAPI document, and the page that shows it."""
