"""The check of a Config's values that every script of the catalog shares."""

import dataclasses
import numbers


# idiom: limits
def check_limits(config, limits):
    """Raise a ValueError that names field, value and bound unless config keeps to limits.

    limits maps a field to (low, high), both allowed, or to a list of words; the seed needs no entry, nor do booleans.
    """
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), type(field.default)
        allowed = [False, True] if kind is bool else limits.get(field.name, (0, 2**32 - 1))
        if isinstance(allowed, list):
            if value not in allowed:
                raise ValueError(f"{field.name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
        elif not isinstance(value, numbers.Integral if kind is int else numbers.Real):
            raise ValueError(f"{field.name} must be {'a whole' if kind is int else 'a'} number, got {value!r}")
        elif not allowed[0] <= value <= allowed[1]:
            raise ValueError(f"{field.name} must lie between {allowed[0]:,} and {allowed[1]:,}, got {value!r}")


# end idiom
