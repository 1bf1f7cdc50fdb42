"""The edit distance between two strings, as the scripts carry it."""


# idiom: edit_distance
def edit_distance(one, other):
    """Fewest insertions, deletions and substitutions that turn one sequence into the other."""
    row = list(range(len(other) + 1))  # from the first k items of one to the first j of other
    for k, item in enumerate(one, 1):
        diagonal, row[0] = row[0], k
        for j, target in enumerate(other, 1):
            changed = diagonal + (item != target)
            diagonal = row[j]
            row[j] = min(changed, row[j] + 1, row[j - 1] + 1)
    return row[-1]


# end idiom
