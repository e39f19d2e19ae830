"""TensorFlow's profiles: host and device planes, what launched what, HLO, and slices that are joined one by one."""
