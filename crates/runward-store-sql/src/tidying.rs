//! What has waited too long is given up, and what is over is forgotten.

use runward_store::{Keep, Millis, StoreError};

use crate::values::int;
use crate::{SqlStore, unavailable};

/// Rows that one change removes: nobody else can write to SQLite meanwhile.
const PART: i64 = 2_000;

impl SqlStore {
    pub(crate) async fn tidy_outbox(&self, keep: &Keep, now: Millis) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE delivery SET state = 'dead', open = 0, ended_at = $1,
                error = COALESCE(error, (
                    SELECT channel.error FROM channel WHERE channel.id = delivery.channel AND channel.failures > 0),
                    'nobody could send it in time: the channel is off, or no server has its key')
             WHERE state = 'waiting' AND since <= $2",
        )
        .bind(now)
        .bind(keep.due_since)
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        sqlx::query(
            "DELETE FROM delivery WHERE id IN (
                SELECT id FROM delivery WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
        )
        .bind(keep.ended_since)
        .bind(PART)
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        self.forget_most(keep).await?;
        sqlx::query("DELETE FROM told WHERE told_at < $1")
            .bind(keep.told_since)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        sqlx::query(
            "DELETE FROM channel WHERE removed_at IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.channel = channel.id)
                AND NOT EXISTS (SELECT 1 FROM told WHERE told.channel = channel.id)",
        )
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    /// Forgets all but the newest messages of an organisation, and all but what a channel was told last.
    async fn forget_most(&self, keep: &Keep) -> Result<(), StoreError> {
        let crowded = sqlx::query(
            "SELECT org, COUNT(*) FROM delivery WHERE state <> 'waiting' GROUP BY org HAVING COUNT(*) > $1",
        )
        .bind(keep.messages)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        for row in &crowded {
            let most = (int(row, 1)? - keep.messages).min(PART);
            sqlx::query(
                "DELETE FROM delivery WHERE id IN (
                    SELECT id FROM delivery WHERE org = $1 AND state <> 'waiting' ORDER BY created_at, id LIMIT $2)",
            )
            .bind(int(row, 0)?)
            .bind(most)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        }
        let crowded =
            sqlx::query("SELECT channel, COUNT(*) FROM told GROUP BY channel HAVING COUNT(*) > $1")
                .bind(keep.told)
                .fetch_all(&self.read)
                .await
                .map_err(unavailable)?;
        for row in &crowded {
            let most = (int(row, 1)? - keep.told).min(PART);
            sqlx::query(
                "DELETE FROM told WHERE channel = $1 AND same IN (
                    SELECT same FROM told WHERE channel = $1 ORDER BY told_at, same LIMIT $2)",
            )
            .bind(int(row, 0)?)
            .bind(most)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        }
        Ok(())
    }
}
