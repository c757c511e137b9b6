"""The application's backend, but emptying the database between tests costs milliseconds, and so does a commit.

Django truncates every table, and a TRUNCATE makes new files for a table, its indexes and each partition, whether
anything was in it or not. Few tests write to more than a handful. And no server is killed under this database, so
nothing needs to be on the disk when it is committed.
"""

from collections.abc import Collection
from typing import Any

from django.db.backends.postgresql.creation import DatabaseCreation
from django.db.backends.postgresql.operations import DatabaseOperations

from core.postgresql import base

#: Written by migrations alone, and the same for every test.
KEPT = ("django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
#: Bytes from which a table is truncated: reading it through takes longer than making it anew.
LARGE = 1_000_000

_TABLES = """
    SELECT quote_ident(relname), pg_relation_size(oid) FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND NOT relname = ANY(%s)
       AND pg_relation_size(oid) > 0
"""


class QuickFlush(DatabaseOperations):
    def sql_flush(
        self, style: Any, tables: Collection[str], *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> list[str]:
        """Statements that empty what isn't empty. The order of foreign keys is nothing to a superuser."""
        if reset_sequences or not tables:
            return super().sql_flush(style, tables, reset_sequences=reset_sequences, allow_cascade=allow_cascade)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('is_superuser') = 'on'")
            may_delete = cursor.fetchone()[0]
            cursor.execute(_TABLES, [list(KEPT)])
            sizes = dict(cursor.fetchall())
            if not sizes:
                return []
            cursor.execute(" UNION ALL ".join(f"(SELECT '{t}' FROM {t} LIMIT 1)" for t in sizes))
            full = [row[0] for row in cursor.fetchall()]
        large = [table for table in full if sizes[table] > LARGE or not may_delete]
        small = [table for table in full if table not in large]
        statements = [f"TRUNCATE {', '.join(large)} CASCADE"] if large else []
        if small:
            statements += ["SET LOCAL session_replication_role = replica", *(f"DELETE FROM {t}" for t in small)]
        return statements


class QuickCommits(DatabaseCreation):
    def create_test_db(self, *args: Any, **options: Any) -> str:
        """In every process that connects to it, those of `process_env` too."""
        name = super().create_test_db(*args, **options)
        with self.connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {self.connection.ops.quote_name(name)} SET synchronous_commit = off")
        self.connection.close()
        return name


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = QuickFlush
    creation_class = QuickCommits
