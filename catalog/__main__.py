import argparse, sys
from catalog import ROOT
from catalog.idioms import refreshed
for path in sorted(ROOT.glob("*/*.py")):
    if path.parts[-2] in ("catalog","tests"): continue
    s = path.read_text(); n = refreshed(s)
    if n != s: path.write_text(n); print("refreshed", path.relative_to(ROOT))
