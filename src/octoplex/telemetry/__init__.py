"""What the gateway tells about itself: counters, histograms and their Prometheus face."""
