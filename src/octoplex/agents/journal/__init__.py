"""Tasks that outlive the process which runs them: kept by DBOS, in SQLite or PostgreSQL."""

from octoplex.agents.journal.kept import are_kept
from octoplex.agents.journal.reading import Reader
from octoplex.agents.journal.records import Rules, TaskRow
from octoplex.agents.journal.tasks import Tasks, Work

__all__ = ["Reader", "Rules", "TaskRow", "Tasks", "Work", "are_kept"]
