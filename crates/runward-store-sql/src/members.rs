//! Changes of who belongs to an organisation, and as what.

use runward_store::{OrgId, Role, StoreError};
use sqlx::{Any, Transaction};

use crate::values::{int, role, word};
use crate::{Dialect, SqlStore, unavailable};

type Change = Transaction<'static, Any>;

impl SqlStore {
    pub(crate) async fn update_role(
        &self,
        org: OrgId,
        user: i64,
        to: Role,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if to != Role::Admin && self.is_last_admin(&mut change, org, user).await? {
            return Ok(false);
        }
        let done = sqlx::query("UPDATE person SET role = $1 WHERE org = $2 AND id = $3")
            .bind(word(&to))
            .bind(org.0)
            .bind(user)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing("member"));
        }
        change.commit().await.map_err(unavailable)?;
        Ok(true)
    }

    pub(crate) async fn delete_user(&self, org: OrgId, user: i64) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if self.is_last_admin(&mut change, org, user).await? {
            return Ok(false);
        }
        sqlx::query(
            "DELETE FROM session WHERE person IN (SELECT id FROM person WHERE org = $1 AND id = $2)",
        )
        .bind(org.0)
        .bind(user)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        sqlx::query("DELETE FROM person WHERE org = $1 AND id = $2")
            .bind(org.0)
            .bind(user)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)?;
        Ok(true)
    }

    /// Whether the organisation would be without an admin if this person were none. Until the change ends, nobody else
    /// changes members: two admins who remove each other at the same time would both see another one.
    async fn is_last_admin(
        &self,
        change: &mut Change,
        org: OrgId,
        user: i64,
    ) -> Result<bool, StoreError> {
        // SQLite has one writer at a time anyway.
        if self.dialect == Dialect::Postgres {
            sqlx::query("SELECT id FROM org WHERE id = $1 FOR UPDATE")
                .bind(org.0)
                .execute(&mut **change)
                .await
                .map_err(unavailable)?;
        }
        let row = sqlx::query(
            "SELECT role, (SELECT COUNT(*) FROM person AS other
                WHERE other.org = $1 AND other.role = $3 AND other.id <> $2)
             FROM person WHERE org = $1 AND id = $2",
        )
        .bind(org.0)
        .bind(user)
        .bind(word(&Role::Admin))
        .fetch_optional(&mut **change)
        .await
        .map_err(unavailable)?;
        let row = row.ok_or(StoreError::Missing("member"))?;
        Ok(role(&row, 0)? == Role::Admin && int(&row, 1)? == 0)
    }
}
