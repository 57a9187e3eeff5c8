"""What the gateway tells about itself: metrics and redaction. Never on the request path."""
