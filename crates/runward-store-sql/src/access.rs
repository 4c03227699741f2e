use runward_store::{
    Agent, ApiKey, AuditEntry, Cursor, Millis, NewApiKey, NewUser, Org, OrgId, Page, PageRequest,
    Project, ProjectId, Retention, Session, StoreError, User, Visibility,
};
use sqlx::any::AnyRow;

use crate::values::{
    hex, int, maybe_int, maybe_mode, maybe_text, maybe_tier, provider, role, scope, text,
    visibility, word,
};
use crate::{SqlStore, taken, unavailable};

/// A key's use is noted once in so many milliseconds: a busy one would write with every request.
const USE_NOTED_EVERY: Millis = 60_000;
/// Lost events of an agent are those of so many milliseconds.
const LOSS_WINDOW: Millis = 24 * 3600 * 1000;

const USER: &str =
    "person.id, person.login, person.password_hash, person.org, person.role, person.subject";
/// Columns of [`USER`].
const USER_COLUMNS: usize = 6;
const KEY: &str = "id, name, prefix, org, project, scope, created_at, used_at, revoked_at";
pub(crate) const PROJECT: &str =
    "project.id, project.org, project.provider, project.name, project.visibility";

fn read_user(row: &AnyRow) -> Result<User, StoreError> {
    Ok(User {
        id: int(row, 0)?,
        login: text(row, 1)?,
        password_hash: maybe_text(row, 2)?,
        org: OrgId(int(row, 3)?),
        role: role(row, 4)?,
        subject: maybe_text(row, 5)?,
    })
}

fn read_key(row: &AnyRow) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: int(row, 0)?,
        name: text(row, 1)?,
        prefix: text(row, 2)?,
        org: OrgId(int(row, 3)?),
        project: maybe_int(row, 4)?.map(ProjectId),
        scope: scope(row, 5)?,
        created_at: int(row, 6)?,
        used_at: maybe_int(row, 7)?,
        revoked_at: maybe_int(row, 8)?,
    })
}

fn read_org(row: &AnyRow) -> Result<Org, StoreError> {
    Ok(Org {
        id: OrgId(int(row, 0)?),
        slug: text(row, 1)?,
        name: text(row, 2)?,
    })
}

/// Reads the columns of [`PROJECT`], which begin at `at`.
pub(crate) fn read_project(row: &AnyRow, at: usize) -> Result<Project, StoreError> {
    Ok(Project {
        id: ProjectId(int(row, at)?),
        org: OrgId(int(row, at + 1)?),
        provider: provider(row, at + 2)?,
        name: text(row, at + 3)?,
        visibility: visibility(row, at + 4)?,
    })
}

impl SqlStore {
    pub(crate) async fn insert_org(&self, slug: &str, name: &str) -> Result<Org, StoreError> {
        let keep = Retention::default();
        let row = sqlx::query(
            "INSERT INTO org (slug, name, keep_events, keep_detections, keep_runs) VALUES ($1, $2, $3, $4, $5)
             RETURNING id, slug, name",
        )
        .bind(slug)
        .bind(name)
        .bind(keep.events().days())
        .bind(keep.detections().days())
        .bind(keep.runs().days())
        .fetch_one(&self.write)
        .await
        .map_err(taken("an organisation of this name"))?;
        read_org(&row)
    }

    pub(crate) async fn select_orgs(&self) -> Result<Vec<Org>, StoreError> {
        let rows = sqlx::query("SELECT id, slug, name FROM org ORDER BY name, id")
            .fetch_all(&self.read)
            .await
            .map_err(unavailable)?;
        rows.iter().map(read_org).collect()
    }

    pub(crate) async fn select_org(&self, slug: &str) -> Result<Option<Org>, StoreError> {
        let row = sqlx::query("SELECT id, slug, name FROM org WHERE slug = $1")
            .bind(slug)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(read_org).transpose()
    }

    pub(crate) async fn insert_user(
        &self,
        user: &NewUser,
        now: Millis,
    ) -> Result<User, StoreError> {
        let row = sqlx::query(
            "INSERT INTO person (login, password_hash, org, role, created_at, subject) VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id, login, password_hash, org, role, subject",
        )
        .bind(&user.login)
        .bind(&user.password_hash)
        .bind(user.org.0)
        .bind(word(&user.role))
        .bind(now)
        .bind(&user.subject)
        .fetch_one(&self.write)
        .await
        .map_err(taken("a person with this login"))?;
        read_user(&row)
    }

    pub(crate) async fn select_user(&self, login: &str) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(select(USER, "FROM person WHERE login = $1"))
            .bind(login)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(read_user).transpose()
    }

    pub(crate) async fn select_user_of(&self, subject: &str) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(select(USER, "FROM person WHERE subject = $1"))
            .bind(subject)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(read_user).transpose()
    }

    pub(crate) async fn select_users(&self, org: OrgId) -> Result<Vec<User>, StoreError> {
        let rows = sqlx::query(select(USER, "FROM person WHERE org = $1 ORDER BY login"))
            .bind(org.0)
            .fetch_all(&self.read)
            .await
            .map_err(unavailable)?;
        rows.iter().map(read_user).collect()
    }

    pub(crate) async fn update_password(&self, user: i64, hash: &str) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("UPDATE person SET password_hash = $1 WHERE id = $2")
            .bind(hash)
            .bind(user)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        sqlx::query("DELETE FROM session WHERE person = $1")
            .bind(user)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn insert_session(
        &self,
        hash: &[u8; 32],
        user: i64,
        csrf: &str,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE expires_at <= $1")
            .bind(now)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        sqlx::query(
            "INSERT INTO session (hash, person, csrf, authenticated_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hex(hash))
        .bind(user)
        .bind(csrf)
        .bind(now)
        .bind(expires_at)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn select_session(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(select(
            USER,
            ", session.csrf, session.authenticated_at, session.expires_at FROM session
             JOIN person ON person.id = session.person WHERE session.hash = $1 AND session.expires_at > $2",
        ))
        .bind(hex(hash))
        .bind(now)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.map(|row| {
            Ok(Session {
                user: read_user(&row)?,
                csrf: text(&row, USER_COLUMNS)?,
                authenticated_at: int(&row, USER_COLUMNS + 1)?,
                expires_at: int(&row, USER_COLUMNS + 2)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn update_session(
        &self,
        hash: &[u8; 32],
        at: Millis,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET authenticated_at = $1 WHERE hash = $2")
            .bind(at)
            .bind(hex(hash))
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn delete_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM session WHERE hash = $1")
            .bind(hex(hash))
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn insert_key(
        &self,
        key: &NewApiKey,
        now: Millis,
    ) -> Result<ApiKey, StoreError> {
        if let Some(project) = key.project
            && self.select_project(key.org, project).await?.is_none()
        {
            return Err(StoreError::Missing("project"));
        }
        let row = sqlx::query(
            "INSERT INTO api_key (hash, name, prefix, org, project, scope, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             RETURNING id, name, prefix, org, project, scope, created_at, used_at, revoked_at",
        )
        .bind(hex(&key.hash))
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(key.org.0)
        .bind(key.project.map(|project| project.0))
        .bind(word(&key.scope))
        .bind(now)
        .fetch_one(&self.write)
        .await
        .map_err(taken("this key"))?;
        read_key(&row)
    }

    pub(crate) async fn select_key(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query(select(
            KEY,
            "FROM api_key WHERE hash = $1 AND revoked_at IS NULL",
        ))
        .bind(hex(hash))
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        let Some(key) = row.as_ref().map(read_key).transpose()? else {
            return Ok(None);
        };
        if key.used_at.is_none_or(|used| now - used >= USE_NOTED_EVERY) {
            sqlx::query("UPDATE api_key SET used_at = $1 WHERE id = $2")
                .bind(now)
                .bind(key.id)
                .execute(&self.write)
                .await
                .map_err(unavailable)?;
        }
        Ok(Some(key))
    }

    pub(crate) async fn select_keys(&self, org: OrgId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query(select(KEY, "FROM api_key WHERE org = $1 ORDER BY id DESC"))
            .bind(org.0)
            .fetch_all(&self.read)
            .await
            .map_err(unavailable)?;
        rows.iter().map(read_key).collect()
    }

    pub(crate) async fn end_key(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_key SET revoked_at = $1 WHERE org = $2 AND id = $3 AND revoked_at IS NULL",
        )
        .bind(now)
        .bind(org.0)
        .bind(id)
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn insert_audit(
        &self,
        org: OrgId,
        at: Millis,
        who: &str,
        act: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO audit (org, at, who, act, subject) VALUES ($1, $2, $3, $4, $5)")
            .bind(org.0)
            .bind(at)
            .bind(who)
            .bind(act)
            .bind(subject)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn select_audit(
        &self,
        org: OrgId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let after = page.after.unwrap_or(END);
        let rows = sqlx::query(
            "SELECT id, at, who, act, subject FROM audit
             WHERE org = $1 AND (at < $2 OR (at = $2 AND id < $3)) ORDER BY at DESC, id DESC LIMIT $4",
        )
        .bind(org.0)
        .bind(after.time)
        .bind(after.id)
        .bind(i64::from(page.limit) + 1)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        let entries = rows
            .iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: int(row, 0)?,
                    at: int(row, 1)?,
                    who: text(row, 2)?,
                    act: text(row, 3)?,
                    subject: text(row, 4)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::of(entries, page.limit, |entry| Cursor {
            time: entry.at,
            id: entry.id,
        }))
    }

    pub(crate) async fn select_project(
        &self,
        org: OrgId,
        id: ProjectId,
    ) -> Result<Option<Project>, StoreError> {
        let row = sqlx::query(select(PROJECT, "FROM project WHERE org = $1 AND id = $2"))
            .bind(org.0)
            .bind(id.0)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
        row.map(|row| read_project(&row, 0)).transpose()
    }

    pub(crate) async fn update_visibility(
        &self,
        org: OrgId,
        id: ProjectId,
        visibility: Visibility,
    ) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE project SET visibility = $1 WHERE org = $2 AND id = $3")
            .bind(word(&visibility))
            .bind(org.0)
            .bind(id.0)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        match done.rows_affected() {
            0 => Err(StoreError::Missing("project")),
            _ => Ok(()),
        }
    }

    pub(crate) async fn select_agents(
        &self,
        org: OrgId,
        now: Millis,
    ) -> Result<Vec<Agent>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, host, version, tier, kernel, requested_mode, effective_mode, last_seen_at,
                (SELECT COUNT(*) FROM run WHERE run.agent = agent.id AND run.state = 0),
                (SELECT CAST(COALESCE(SUM(lost), 0) AS BIGINT) FROM run
                    WHERE run.agent = agent.id AND run.started_at >= $2)
             FROM agent WHERE org = $1 ORDER BY last_seen_at DESC, id DESC LIMIT 1000",
        )
        .bind(org.0)
        .bind(now - LOSS_WINDOW)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(Agent {
                    id: int(row, 0)?,
                    host: text(row, 1)?,
                    version: text(row, 2)?,
                    tier: maybe_tier(row, 3)?,
                    kernel: text(row, 4)?,
                    requested_mode: maybe_mode(row, 5)?,
                    effective_mode: maybe_mode(row, 6)?,
                    last_seen_at: int(row, 7)?,
                    running: int(row, 8)?,
                    lost_events: int(row, 9)?,
                })
            })
            .collect()
    }
}

/// Before the first row of every list.
pub(crate) const END: Cursor = Cursor {
    time: i64::MAX,
    id: i64::MAX,
};

/// `SELECT` with a list of columns that several questions share.
pub(crate) fn select(columns: &'static str, rest: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("SELECT {columns} {rest}"))
}
