"""The way of an op down through TensorFlow: `python examples/reading/where_is_conv2d.py PATTERN TRACE ..`.

For each trace its layers, and the steps that no call in the source explains, with both ends from the native stack.
"""

import sys
import textwrap

import tftrace
from tftrace.analysis.chain import why

for path in sys.argv[2:]:
    trace = tftrace.load(path)
    group = why(trace, sys.argv[1])[0]
    print(f"{group.op} in {trace.name}, {group.device}")
    for entry in group.chain:
        name = entry.name or f"not there: {entry.reason}"
        print(
            f"  {entry.layer:16} {(entry.evidence or '-'):9} {name if len(name) <= 90 else name[:87] + '...'}"
        )
    print("how control gets from one to the next:")
    for hop in group.hops:
        print(f"  {hop.caller.split('(')[0]} > {hop.callee.split('(')[0]}: {hop.mechanism}")
        print(textwrap.indent(textwrap.fill(hop.how, 94), "      "))
    print()
