"""HTTP for the tenant's own jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.jobs.admin import JobService
from app.kernel.jobs.problems import JobNotFound, JobNotHeld
from app.kernel.jobs.schemas import LARGEST, JobList, JobState
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/jobs", tags=["jobs"])
Jobs = Annotated[JobService, service(JobService)]


@router.get("", dependencies=[require_module("platform", "jobs:read")])
async def list_jobs(
    jobs: Jobs,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> JobList:
    """What waits, runs or is held, newest first; finished jobs are gone."""
    return JobList.model_validate(await jobs.listed(state, cursor, limit))


@router.post(
    "/{job_id}/retry",
    status_code=204,
    dependencies=[require_module("platform", "jobs:write")],
    responses=problems(JobNotFound, JobNotHeld),
)
async def retry_job(job_id: Annotated[int, Path(ge=1, le=LARGEST)], jobs: Jobs) -> None:
    """Put a held job back in line; its earlier tries are forgotten."""
    await jobs.retry(job_id)
