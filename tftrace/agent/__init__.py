"""What runs inside the traced process: records, and nothing else.

Standard library and the process's own TensorFlow only, Python 3.9 and later, relative imports throughout: a traced
interpreter that has no tftrace installed loads this folder as a package of its own (`site/sitecustomize.py`).
"""
