use runward_event::Mode;
use runward_store::{
    AttachedPolicy, Cursor, JobName, KnownJob, Millis, NewPolicyVersion, OrgId, Page, PageRequest,
    Policy, PolicyAttachment, PolicyScope, PolicyVersion, ProjectId, StoreError,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};

use crate::values::{int, maybe_int, maybe_text, mode, text, word};
use crate::{SqlStore, taken, unavailable};

/// Policies of an organisation that are not archived.
const POLICIES: i64 = 1000;
/// Attachments of all policies of an organisation.
const ATTACHMENTS: i64 = 10_000;
/// Jobs that are listed.
const JOBS: i64 = 2000;

const VERSION: &str = "v.number, v.mode, v.note, v.made_by, v.at";
const POLICY: &str = "policy.id, policy.name, policy.archived_at";
const NEWEST: &str =
    "FROM policy JOIN policy_version v ON v.policy = policy.id AND v.number = policy.version";
const ATTACHMENT: &str =
    "a.id, a.policy, a.level, a.project, a.pipeline, a.job, project.name, a.made_by, a.at";

type Change = Transaction<'static, Any>;

/// Reads the columns of [`VERSION`], which begin at `at`.
fn read_version(row: &AnyRow, at: usize) -> Result<PolicyVersion, StoreError> {
    Ok(PolicyVersion {
        number: int(row, at)?,
        mode: mode(row, at + 1)?,
        note: text(row, at + 2)?,
        by: text(row, at + 3)?,
        at: int(row, at + 4)?,
    })
}

/// Reads the columns of [`POLICY`] and [`VERSION`], which begin at `at`.
fn read_policy(row: &AnyRow, at: usize) -> Result<Policy, StoreError> {
    Ok(Policy {
        id: int(row, at)?,
        name: text(row, at + 1)?,
        archived_at: maybe_int(row, at + 2)?,
        newest: read_version(row, at + 3)?,
    })
}

/// Reads the columns of [`ATTACHMENT`].
fn read_attachment(row: &AnyRow) -> Result<PolicyAttachment, StoreError> {
    let project = maybe_int(row, 3)?.map(ProjectId);
    let scope = match (int(row, 2)?, project) {
        (0, None) => PolicyScope::Org,
        (1, Some(project)) => PolicyScope::Project(project),
        (2, Some(project)) => PolicyScope::Pipeline(project, text(row, 4)?),
        (3, Some(project)) => PolicyScope::Job(project, text(row, 4)?, text(row, 5)?),
        (level, _) => return Err(StoreError::Corrupt(format!("the level {level}"))),
    };
    Ok(PolicyAttachment {
        id: int(row, 0)?,
        policy: int(row, 1)?,
        scope,
        project_name: maybe_text(row, 6)?,
        by: text(row, 7)?,
        at: int(row, 8)?,
    })
}

/// How narrow a scope is.
fn level(scope: &PolicyScope) -> i64 {
    match scope {
        PolicyScope::Org => 0,
        PolicyScope::Project(_) => 1,
        PolicyScope::Pipeline(..) => 2,
        PolicyScope::Job(..) => 3,
    }
}

impl SqlStore {
    pub(crate) async fn insert_policy(
        &self,
        org: OrgId,
        name: &str,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError> {
        let mut change = self.begin().await?;
        let known: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM policy WHERE org = $1 AND archived_at IS NULL",
        )
        .bind(org.0)
        .fetch_one(&mut *change)
        .await
        .map_err(unavailable)?;
        if known >= POLICIES {
            return Err(StoreError::Conflict(format!(
                "there are {POLICIES} policies: archive one first"
            )));
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO policy (org, name, version) VALUES ($1, $2, 1) RETURNING id",
        )
        .bind(org.0)
        .bind(name)
        .fetch_one(&mut *change)
        .await
        .map_err(taken("a policy of this name"))?;
        keep_version(&mut change, id, 1, version, now).await?;
        change.commit().await.map_err(unavailable)?;
        self.written_policy(org, id).await
    }

    pub(crate) async fn insert_policy_version(
        &self,
        org: OrgId,
        id: i64,
        base: i64,
        version: &NewPolicyVersion,
        now: Millis,
    ) -> Result<Policy, StoreError> {
        let mut change = self.begin().await?;
        let newest = hold(&mut change, org, id).await?;
        if newest != base {
            return Err(StoreError::Conflict(format!(
                "version {newest} was saved meanwhile, and this change was made to version {base}"
            )));
        }
        sqlx::query("UPDATE policy SET version = version + 1 WHERE id = $1")
            .bind(id)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        keep_version(&mut change, id, base + 1, version, now).await?;
        change.commit().await.map_err(unavailable)?;
        self.written_policy(org, id).await
    }

    pub(crate) async fn put_policy_away(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        hold(&mut change, org, id).await?;
        let attached: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM policy_attachment WHERE policy = $1")
                .bind(id)
                .fetch_one(&mut *change)
                .await
                .map_err(unavailable)?;
        if attached > 0 {
            return Err(StoreError::Conflict(
                "the policy is attached: detach it everywhere first".to_owned(),
            ));
        }
        sqlx::query("UPDATE policy SET archived_at = $1 WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn select_policies(
        &self,
        org: OrgId,
        archived: bool,
    ) -> Result<Vec<Policy>, StoreError> {
        let which = if archived { "NOT NULL" } else { "NULL" };
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {POLICY}, {VERSION} {NEWEST} WHERE policy.org = $1 AND policy.archived_at IS {which}
             ORDER BY policy.name, policy.id DESC LIMIT {POLICIES}"
        )))
        .bind(org.0)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(|row| read_policy(row, 0)).collect()
    }

    pub(crate) async fn select_policy(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Policy>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {POLICY}, {VERSION} {NEWEST} WHERE policy.org = $1 AND policy.id = $2"
        )))
        .bind(org.0)
        .bind(id)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.map(|row| read_policy(&row, 0)).transpose()
    }

    async fn written_policy(&self, org: OrgId, id: i64) -> Result<Policy, StoreError> {
        let found = self.select_policy(org, id).await?;
        found.ok_or(StoreError::Missing("policy"))
    }

    pub(crate) async fn select_policy_versions(
        &self,
        org: OrgId,
        id: i64,
        page: PageRequest,
    ) -> Result<Page<PolicyVersion>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {VERSION} FROM policy_version v JOIN policy ON policy.id = v.policy
             WHERE policy.org = $1 AND policy.id = $2 AND v.number < $3 ORDER BY v.number DESC LIMIT $4"
        )))
        .bind(org.0)
        .bind(id)
        .bind(page.after.map_or(i64::MAX, |after| after.id))
        .bind(i64::from(page.limit) + 1)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        let versions = rows.iter().map(|row| read_version(row, 0));
        let versions = versions.collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(versions, page.limit, |version| Cursor {
            time: version.number,
            id: version.number,
        }))
    }

    pub(crate) async fn select_policy_text(
        &self,
        org: OrgId,
        id: i64,
        number: i64,
    ) -> Result<Option<(PolicyVersion, String)>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {VERSION}, v.text FROM policy_version v JOIN policy ON policy.id = v.policy
             WHERE policy.org = $1 AND policy.id = $2 AND v.number = $3"
        )))
        .bind(org.0)
        .bind(id)
        .bind(number)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.map(|row| Ok((read_version(&row, 0)?, text(&row, 5)?)))
            .transpose()
    }

    pub(crate) async fn insert_attachment(
        &self,
        org: OrgId,
        id: i64,
        scope: &PolicyScope,
        by: &str,
        now: Millis,
    ) -> Result<PolicyAttachment, StoreError> {
        let mut change = self.begin().await?;
        hold(&mut change, org, id).await?;
        if let Some(project) = scope.project()
            && self.select_project(org, project).await?.is_none()
        {
            return Err(StoreError::Missing("project"));
        }
        let known: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM policy_attachment WHERE org = $1")
                .bind(org.0)
                .fetch_one(&mut *change)
                .await
                .map_err(unavailable)?;
        if known >= ATTACHMENTS {
            return Err(StoreError::Conflict(format!(
                "there are {ATTACHMENTS} attachments: attach policies to wider scopes"
            )));
        }
        // What is there already is asked for, so that it can be named; the index decides if two come at once.
        if let Some(name) = attached_to(&mut change, org, scope).await? {
            return Err(StoreError::Conflict(format!(
                "the policy `{name}` is attached there: detach it first"
            )));
        }
        let attachment: i64 = sqlx::query_scalar(
            "INSERT INTO policy_attachment (org, policy, level, project, pipeline, job, made_by, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(org.0)
        .bind(id)
        .bind(level(scope))
        .bind(scope.project().map(|project| project.0))
        .bind(scope.pipeline().unwrap_or_default())
        .bind(scope.job().unwrap_or_default())
        .bind(by)
        .bind(now)
        .fetch_one(&mut *change)
        .await
        .map_err(taken("an attachment to this scope"))?;
        change.commit().await.map_err(unavailable)?;
        let all = self.select_attachments(org, Some(id)).await?;
        let found = all.into_iter().find(|found| found.id == attachment);
        found.ok_or(StoreError::Missing("attachment"))
    }

    pub(crate) async fn delete_attachment(
        &self,
        org: OrgId,
        id: i64,
        attachment: i64,
    ) -> Result<Option<PolicyAttachment>, StoreError> {
        let all = self.select_attachments(org, Some(id)).await?;
        let Some(known) = all.into_iter().find(|known| known.id == attachment) else {
            return Ok(None);
        };
        let done =
            sqlx::query("DELETE FROM policy_attachment WHERE org = $1 AND policy = $2 AND id = $3")
                .bind(org.0)
                .bind(id)
                .bind(attachment)
                .execute(&self.write)
                .await
                .map_err(unavailable)?;
        Ok((done.rows_affected() > 0).then_some(known))
    }

    pub(crate) async fn select_attachments(
        &self,
        org: OrgId,
        policy: Option<i64>,
    ) -> Result<Vec<PolicyAttachment>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {ATTACHMENT} FROM policy_attachment a LEFT JOIN project ON project.id = a.project
             WHERE a.org = $1 AND ($2 = 0 OR a.policy = $2)
             ORDER BY a.level, project.name, a.pipeline, a.job LIMIT {ATTACHMENTS}"
        )))
        .bind(org.0)
        .bind(policy.unwrap_or(0))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(read_attachment).collect()
    }

    pub(crate) async fn select_policies_for(
        &self,
        org: OrgId,
        job: JobName<'_>,
    ) -> Result<Vec<AttachedPolicy>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {ATTACHMENT}, {POLICY}, {VERSION}, v.text {NEWEST}
             JOIN policy_attachment a ON a.policy = policy.id LEFT JOIN project ON project.id = a.project
             WHERE a.org = $1 AND (a.level = 0 OR (
                project.provider = $2 AND project.name = $3
                AND (a.level < 2 OR a.pipeline = $4) AND (a.level < 3 OR a.job = $5)))
             ORDER BY a.level DESC"
        )))
        .bind(org.0)
        .bind(word(&job.provider))
        .bind(job.project)
        .bind(job.pipeline)
        .bind(job.job)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(AttachedPolicy {
                    attachment: read_attachment(row)?,
                    policy: read_policy(row, 9)?,
                    text: text(row, 17)?,
                })
            })
            .collect()
    }

    pub(crate) async fn select_jobs(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
    ) -> Result<Vec<KnownJob>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT job.project, job.pipeline, job.name FROM job JOIN project ON project.id = job.project
             WHERE project.org = $1 AND ($2 = 0 OR project.id = $2)
             ORDER BY project.name, job.pipeline, job.name LIMIT {JOBS}"
        )))
        .bind(org.0)
        .bind(project.map_or(0, |project| project.0))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(KnownJob {
                    project: ProjectId(int(row, 0)?),
                    pipeline: text(row, 1)?,
                    job: text(row, 2)?,
                })
            })
            .collect()
    }
}

/// Keeps a policy from changing until the end of this change, and answers its newest version's number. An `UPDATE`,
/// because it holds the row in both databases.
async fn hold(change: &mut Change, org: OrgId, id: i64) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "UPDATE policy SET version = version WHERE org = $1 AND id = $2 RETURNING version, archived_at",
    )
    .bind(org.0)
    .bind(id)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?
    .ok_or(StoreError::Missing("policy"))?;
    match maybe_int(&row, 1)? {
        None => int(&row, 0),
        Some(_) => Err(StoreError::Conflict("the policy is archived".to_owned())),
    }
}

async fn keep_version(
    change: &mut Change,
    policy: i64,
    number: i64,
    version: &NewPolicyVersion,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO policy_version (policy, number, mode, text, note, made_by, at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(policy)
    .bind(number)
    .bind(word::<Mode>(&version.mode))
    .bind(&version.text)
    .bind(&version.note)
    .bind(&version.by)
    .bind(now)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// The name of the policy that is attached to exactly this scope.
async fn attached_to(
    change: &mut Change,
    org: OrgId,
    scope: &PolicyScope,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar(
        "SELECT policy.name FROM policy_attachment a JOIN policy ON policy.id = a.policy
         WHERE a.org = $1 AND a.level = $2 AND COALESCE(a.project, 0) = $3 AND a.pipeline = $4 AND a.job = $5",
    )
    .bind(org.0)
    .bind(level(scope))
    .bind(scope.project().map_or(0, |project| project.0))
    .bind(scope.pipeline().unwrap_or_default())
    .bind(scope.job().unwrap_or_default())
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)
}
