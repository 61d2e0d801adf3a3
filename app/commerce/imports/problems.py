"""Why an import does not even begin."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound, TooLarge


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


class ImportNotFound(NotFound):
    code = "import-not-found"
    title = "This tenant has no such import."


class ImportFileMissing(Invalid):
    code = "import-file-missing"
    title = "Send the table as multipart/form-data in a part named file; orders also need items."


class ImportFileUnreadable(Invalid):
    code = "import-file-unreadable"
    title = "This file is no table that can be read: save it as CSV or XLSX with a header."


class ImportFileTooLarge(TooLarge):
    code = "import-file-too-large"
    title = "The files are larger than an import may be: split them."


class ImportNotReady(Conflict):
    code = "import-not-ready"
    title = "This import was started already, or has ended: upload the file anew to run it again."


class ImportEnded(Conflict):
    code = "import-ended"
    title = "This import has ended: there is nothing to cancel."
