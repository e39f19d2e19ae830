"""Without TensorFlow; run as a module too."""

import json
import sys

print(json.dumps({"argv": sys.argv, "name": __name__, "package": __package__}))
