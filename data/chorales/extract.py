"""Take from the package music21 what every voice of Bach's four-part chorales sounds a quarter.

    python3 extract.py music21-10.5.1-py3-none-any.whl

The wheel is a zip file that `pip download --no-deps music21` fetches. Writes chorales.txt.gz beside
this script: a line a chorale, its name, then soprano, alto, tenor and bass of every quarter as
numbers of MIDI (60 is middle C, 0 a rest), four in a group.
"""

import gzip
import io
import re
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from fractions import Fraction
from pathlib import Path

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def score_of(mxl):
    """The root element of a compressed MusicXML file, given as bytes."""
    with zipfile.ZipFile(io.BytesIO(mxl)) as packed:
        names = [name for name in packed.namelist() if not name.startswith("META-INF")]
        return ElementTree.fromstring(packed.read(next(n for n in names if n.endswith("xml"))))


def pitch_of(note):
    """The number of MIDI, or 0 for a rest."""
    pitch = note.find("pitch")
    if pitch is None:
        return 0
    alter = int(float(pitch.findtext("alter") or 0))
    return 12 * (int(pitch.findtext("octave")) + 1) + STEPS[pitch.findtext("step")] + alter


def notes_of(part):
    """(start, end, pitch) of the notes of a part, in quarters; of a chord its first note."""
    now, divisions, notes = Fraction(0), 1, []
    for element in part.iterfind("measure/*"):
        if element.tag == "attributes":
            divisions = int(element.findtext("divisions") or divisions)
        elif element.tag in ("note", "backup", "forward"):
            length = Fraction(int(element.findtext("duration") or 0), divisions)
            if element.tag == "backup":
                now -= length
            elif element.find("chord") is None:
                if element.tag == "note" and length:  # grace notes have no length
                    notes.append((now, now + length, pitch_of(element)))
                now += length
    return notes


def quarters_of(part, count):
    """The pitch that sounds at the start of every quarter; of several the latest begun."""
    pitches = [0] * count
    for start, end, pitch in sorted(notes_of(part)):
        for quarter in range(-(-start.numerator // start.denominator), count):
            if quarter >= end:
                break
            pitches[quarter] = pitch
    return pitches


def main():
    lines, seen = [], set()
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = sorted(n for n in wheel.namelist() if re.search(r"corpus/bach/.*\.mxl$", n))
        for name in names:
            parts = score_of(wheel.read(name)).findall("part")
            if len(parts) != 4:
                continue
            count = int(max(end for part in parts for _, end, _ in notes_of(part)))
            voices = zip(*(quarters_of(part, count) for part in parts), strict=True)
            steps = " ".join(",".join(map(str, step)) for step in voices)
            if steps not in seen:  # two chorales are there under two names
                lines.append(f"{Path(name).stem} {steps}")
            seen.add(steps)
    content = ("\n".join(lines) + "\n").encode()
    Path(__file__).with_name("chorales.txt.gz").write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    main()
