"""What cuDNN said of itself: its logs, and the calls into it that tftrace recorded."""
