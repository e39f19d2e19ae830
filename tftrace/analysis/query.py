"""SQL over the tables of a trace, by DuckDB: events, links, sites, calls, event_calls, stacks, algorithms.

The connection is an own one in memory, with no access to files, networks or extensions: a query reads the trace and
nothing else. Columns: docs/trace-format.md.
"""

from __future__ import annotations

import re
from typing import Final

import duckdb
import pandas as pd

from tftrace.analysis.columns import whole
from tftrace.errors import UsageError
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace

_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def query(trace: Trace, sql: str) -> pd.DataFrame:
    """What `sql` answers, a DataFrame with its columns. Only the tables that it names are read.

    Raises UsageError, in one line with what DuckDB says, where the query is wrong, changes something, or reaches
    outside the trace.
    """
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET python_enable_replacements = false")  # nor variables of this program
        for name in sorted({word.lower() for word in _WORD.findall(sql)} & TABLES.keys()):
            connection.register(name, whole(trace, name))
        connection.execute("SET lock_configuration = true")
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in (
            duckdb.StatementType.SELECT,
            duckdb.StatementType.EXPLAIN,
        ):
            raise UsageError(
                "a query is one SELECT statement, e.g. SELECT op, count(*) FROM sites GROUP BY op"
            )
        answer: pd.DataFrame = connection.execute(statements[0]).df()
        return answer
    except duckdb.Error as error:
        told = " ".join(str(error).split())
        raise UsageError(f"the query cannot be answered: {told}; tables: {', '.join(TABLES)}") from error
    finally:
        connection.close()
