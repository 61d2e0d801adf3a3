"""Why an import does not even begin."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound


class ImportColumnsMissing(Invalid):
    code = "import-columns-missing"
    title = "The file lacks columns that this import needs: name them in the mapping."


class ImportMappingUnknown(Invalid):
    code = "import-mapping-unknown"
    title = "The mapping names a field or a column that does not exist."


class ImportStoreNotFound(NotFound):
    code = "import-store-not-found"
    title = "This tenant has no such store: import into one of its stores."


class ImportStoreUnclear(Conflict):
    code = "import-store-unclear"
    title = "This tenant has several stores: say which one the orders belong to."
