//! Who may send records besides those who have a key: jobs whose tokens are trusted, and machines that are about to
//! register.

use runward_store::{Millis, OrgId, StoreError, Trust};
use sqlx::any::AnyRow;

use crate::access::select;
use crate::values::{hex, int, text};
use crate::{SqlStore, taken, unavailable};

const TRUST: &str = "id, org, issuer, pattern, created_at";

fn read_trust(row: &AnyRow) -> Result<Trust, StoreError> {
    Ok(Trust {
        id: int(row, 0)?,
        org: OrgId(int(row, 1)?),
        issuer: text(row, 2)?,
        pattern: text(row, 3)?,
        created_at: int(row, 4)?,
    })
}

impl SqlStore {
    pub(crate) async fn insert_trust(
        &self,
        org: OrgId,
        issuer: &str,
        pattern: &str,
        now: Millis,
    ) -> Result<Trust, StoreError> {
        let row = sqlx::query(
            "INSERT INTO trust (org, issuer, pattern, created_at) VALUES ($1, $2, $3, $4)
             RETURNING id, org, issuer, pattern, created_at",
        )
        .bind(org.0)
        .bind(issuer)
        .bind(pattern)
        .bind(now)
        .fetch_one(&self.write)
        .await
        .map_err(taken("this entry"))?;
        read_trust(&row)
    }

    pub(crate) async fn select_trusts(&self, org: OrgId) -> Result<Vec<Trust>, StoreError> {
        let query = select(TRUST, "FROM trust WHERE org = $1 ORDER BY issuer, pattern");
        let rows = sqlx::query(query).bind(org.0).fetch_all(&self.read).await;
        rows.map_err(unavailable)?.iter().map(read_trust).collect()
    }

    pub(crate) async fn select_trusts_of(&self, issuer: &str) -> Result<Vec<Trust>, StoreError> {
        let query = select(TRUST, "FROM trust WHERE issuer = $1 ORDER BY pattern, org");
        let rows = sqlx::query(query).bind(issuer).fetch_all(&self.read).await;
        rows.map_err(unavailable)?.iter().map(read_trust).collect()
    }

    pub(crate) async fn delete_trust(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Trust>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM trust WHERE org = $1 AND id = $2 RETURNING id, org, issuer, pattern, created_at",
        )
        .bind(org.0)
        .bind(id)
        .fetch_optional(&self.write)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_trust).transpose()
    }

    pub(crate) async fn insert_registration(
        &self,
        hash: &[u8; 32],
        org: OrgId,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("DELETE FROM registration WHERE expires_at <= $1")
            .bind(now)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        sqlx::query("INSERT INTO registration (hash, org, expires_at) VALUES ($1, $2, $3)")
            .bind(hex(hash))
            .bind(org.0)
            .bind(expires_at)
            .execute(&mut *change)
            .await
            .map_err(taken("this token"))?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn take_registration(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<OrgId>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM registration WHERE hash = $1 AND expires_at > $2 RETURNING org",
        )
        .bind(hex(hash))
        .bind(now)
        .fetch_optional(&self.write)
        .await
        .map_err(unavailable)?;
        row.map(|row| Ok(OrgId(int(&row, 0)?))).transpose()
    }
}
