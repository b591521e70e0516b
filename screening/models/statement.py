"""Long conditions on a row, compiled to SQL once per process instead of once per query.

Django resolves an expression anew at each level of each query that uses it. For the standing
outcome of a lesion, this takes longer than the query itself. No result is stored, so none can be
outdated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, ExpressionWrapper, F, Field, Func, Q
from django.db.models.expressions import Combinable
from django.db.models.lookups import Exact
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from accounts.models import User

Rule = Callable[[User], Combinable | Q]
_KEPT = 256
_HERE = "/* the row */"


def compiled(
    model: type[models.Model], field: Field[Any, Any]
) -> Callable[[Rule], Callable[..., RowValue]]:
    """Decorate a rule: an expression on rows of ``model``, of the type ``field``, as ``user`` may
    see it.

    The result takes the path from the outer row to the row it is about: ``rule(user)`` or
    ``rule(user, "image__lesion")``. The rule may depend on nothing but its user, and on the user
    only if ``user.reviews_blind``.
    """

    def decorate(rule: Rule) -> Callable[..., RowValue]:
        statement = _Statement(model, field, rule)

        @wraps(rule)
        def value(user: User, row: str = "pk") -> RowValue:
            return RowValue(F(row), statement=statement, user=user, output_field=field)

        return value

    return decorate


class RowValue(Func):
    """(SELECT the value FROM the table WHERE pk = the given one)"""

    arity = 1

    def __init__(self, row: F | Expression, *, statement: _Statement, user: User, **extra: Any):
        super().__init__(row, **extra)
        self.statement, self.user = statement, user

    def as_sql(  # type: ignore[override]  # it has no function, and no template
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        row, of_row = compiler.compile(self.get_source_expressions()[0])
        head, tail, before, after = self.statement.sql(connection.alias, self.user)
        return f"({head}{row}{tail})", (*before, *of_row, *after)


class _Statement:
    """A rule and the SQL that it was compiled to."""

    def __init__(self, model: type[models.Model], field: Field[Any, Any], rule: Rule) -> None:
        self._model, self._field, self._rule = model, field, rule
        self._prefix = f"{rule.__name__.strip('_')}_"
        self._compiled = lru_cache(_KEPT)(self._compile)

    def sql(self, database: str, user: User) -> tuple[str, str, list[Any], list[Any]]:
        """The SQL before and after the row's primary key, and the parameters of each part."""
        zone = timezone.get_current_timezone_name()  # it decides when a day begins
        return self._compiled(database, zone, _Viewer(user))

    def _compile(
        self, database: str, zone: str, viewer: _Viewer
    ) -> tuple[str, str, list[Any], list[Any]]:
        del zone  # the compiler reads the current one
        value = ExpressionWrapper(self._rule(viewer.user), output_field=self._field)
        rows: Any = self._model._base_manager.filter(Exact(F("pk"), _Here()))
        query = rows.order_by().values(value=value).query
        # Keep the outer query's aliases apart from those of the inner tables.
        query.change_aliases({alias: self._prefix + alias for alias in query.alias_map})
        sql, params = query.get_compiler(using=database).as_sql()
        head, tail = sql.split(_HERE)
        count = head.count("%s")
        return head, tail, list(params[:count]), list(params[count:])


class _Viewer:
    """Groups users who see the same. Only users who must conclude first differ from the others."""

    def __init__(self, user: User) -> None:
        self.user = user
        clinic = user.bound_clinic
        self._key: tuple[UUID, UUID | None, bool] | None = (
            (user.pk, clinic.pk if clinic else None, user.uses_unbound_key)
            if user.reviews_blind
            else None
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Viewer) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class _Here(Expression):
    """Where the outer row's primary key goes."""

    output_field = models.UUIDField()

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        return _HERE, ()
