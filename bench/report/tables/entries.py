"""How numbers stand in a table."""

import pandas as pd


def mean(values: pd.Series, digits: int = 3) -> str:
    """Return the mean of numbers as a table shows it: "-" if one of them is absent."""
    return "-" if values.isna().any() else f"{values.mean():.{digits}f}"


def spread(values: pd.Series) -> str:
    """Return " ± " and the standard deviation of numbers; nothing if there is only one."""
    return f" ± {values.std():.3f}" if len(values) > 1 else ""
