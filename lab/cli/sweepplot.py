# SPDX-License-Identifier: GPL-2.0-only
"""A metric over a grid as a picture. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import InputError
from lab.sweep.heat import Table, plan_tables
from lab.sweep.outcome import Measured
from lab.sweep.spec import Value

_MISSING = "nan"


def write_heat_map(parameters: Mapping[str, Sequence[Value]], measured: Measured, path: Path) -> None:
    """The tables of the grid side by side, in one scale of colours. Raises InputError where there is no matplotlib,
    or the file cannot be written."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise InputError(
            "matplotlib is not installed, so nothing can be plotted", "pip install 'paravirt-lab[plots]'"
        ) from None
    matplotlib.use("agg")
    from matplotlib import pyplot

    tables = plan_tables(parameters, measured)
    figure, axes = pyplot.subplots(1, len(tables), squeeze=False, layout="constrained", figsize=_size(tables))
    means = [mean for table in tables for row in table.means for mean in row if mean is not None]
    scale = matplotlib.colors.Normalize(min(means, default=0.0), max(means, default=1.0))
    image = None
    for table, axis in zip(tables, axes[0], strict=True):
        values = [[float(_MISSING) if mean is None else mean for mean in row] for row in table.means]
        image = axis.imshow(values, norm=scale, aspect="auto", cmap="viridis")
        axis.set_xticks(range(len(table.columns)), [str(column) for column in table.columns])
        axis.set_yticks(range(len(table.rows)), [str(row) for row in table.rows])
        axis.set_xlabel(table.across)
        axis.set_ylabel(table.down)
        axis.set_title(", ".join(f"{name}={value}" for name, value in table.fixed.items()))
    assert image is not None, "a grid has a table"
    unit = f" ({measured.unit})" if measured.unit else ""
    figure.colorbar(image, ax=axes[0].tolist(), label=f"{measured.sought.text}{unit}")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the plot cannot be written: {error}") from None
    finally:
        pyplot.close(figure)


def _size(tables: Sequence[Table]) -> tuple[float, float]:
    """Inches."""
    columns = sum(max(2, len(table.columns)) for table in tables)
    return 2.5 + 0.9 * columns, 1.5 + 0.6 * max(2, max(len(table.rows) for table in tables))
