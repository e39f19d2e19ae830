"""Profiles of TensorFlow's and JAX's profiler (`*.xplane.pb`), as columns."""
