//! Channels: where people are told.

use runward_store::{
    CHANNELS_MAX, Channel, Health, Millis, NewChannel, OrgId, ProjectId, Sealed, StoreError, Wants,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor};

use crate::values::{
    body, channel_kind, int, maybe_int, maybe_text, run_scope, severity, text, word,
};
use crate::{Change, SqlStore, taken, unavailable};

/// A channel as it is shown.
pub(crate) const CHANNEL: &str = "SELECT id, org, uid, name, kind, target, secret, sealed_by, body, project, kinds, \
    least, every, quiet, is_on, created_by, created_at, delivered_at, failed_at, error, failures, \
    (SELECT COUNT(*) FROM delivery WHERE delivery.channel = channel.id AND delivery.state = 'waiting'), \
    (SELECT COUNT(*) FROM delivery WHERE delivery.channel = channel.id AND delivery.state = 'dead' AND test = 0), \
    (SELECT CAST(COALESCE(SUM(held), 0) AS BIGINT) FROM told WHERE told.channel = channel.id), runs, neutral FROM channel";
/// The same without what has to be counted.
pub(crate) const UNCOUNTED: &str = "SELECT id, org, uid, name, kind, target, secret, sealed_by, body, project, kinds, \
    least, every, quiet, is_on, created_by, created_at, delivered_at, failed_at, error, failures, \
    CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT), runs, neutral FROM channel";

pub(crate) fn read_channel(row: &AnyRow) -> Result<Channel, StoreError> {
    let kinds = maybe_text(row, 10)?.map(|kinds| serde_json::from_str(&kinds));
    let kinds = kinds
        .transpose()
        .map_err(|error| StoreError::Corrupt(format!("the kinds of a channel: {error}")))?;
    let key = text(row, 7)?;
    Ok(Channel {
        id: int(row, 0)?,
        org: OrgId(int(row, 1)?),
        uid: text(row, 2)?,
        kept: NewChannel {
            name: text(row, 3)?,
            kind: channel_kind(row, 4)?,
            target: text(row, 5)?,
            secret: maybe_text(row, 6)?.map(|text| Sealed { key, text }),
            body: body(row, 8)?,
            neutral: int(row, 25)? != 0,
            wants: Wants {
                project: maybe_int(row, 9)?.map(ProjectId),
                kinds,
                least: severity(row, 11)?,
                every: int(row, 12)?,
                quiet: int(row, 13)?,
                runs: run_scope(row, 24)?,
            },
            on: int(row, 14)? != 0,
        },
        created_by: text(row, 15)?,
        created_at: int(row, 16)?,
        health: Health {
            delivered_at: maybe_int(row, 17)?,
            failed_at: maybe_int(row, 18)?,
            error: maybe_text(row, 19)?,
            failures: int(row, 20)?,
            waiting: int(row, 21)?,
            dead: int(row, 22)?,
            held: int(row, 23)?,
        },
    })
}

fn kinds_text(channel: &NewChannel) -> Result<Option<String>, StoreError> {
    let kinds = channel.wants.kinds.as_ref().map(serde_json::to_string);
    kinds
        .transpose()
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn sealed_text(secret: Option<&Sealed>) -> (Option<&str>, &str) {
    secret.map_or((None, ""), |secret| (Some(&secret.text), &secret.key))
}

impl SqlStore {
    pub(crate) async fn insert_channel(
        &self,
        org: OrgId,
        uid: &str,
        channel: &NewChannel,
        by: &str,
        now: Millis,
    ) -> Result<Channel, StoreError> {
        let mut change = self.begin().await?;
        // Two who add one at the same time would both see room for it.
        self.change_rules(&mut change, org).await?;
        has_project(&mut change, org, channel).await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM channel WHERE org = $1 AND removed_at IS NULL",
        )
        .bind(org.0)
        .fetch_one(&mut *change)
        .await
        .map_err(unavailable)?;
        if count >= CHANNELS_MAX {
            return Err(StoreError::Full("channels"));
        }
        let (secret, sealed_by) = sealed_text(channel.secret.as_ref());
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO channel (org, uid, name, kind, target, secret, sealed_by, body, project, kinds, least, every,
                quiet, is_on, created_by, created_at, runs, neutral, leased_until, rest_until, failures)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0, 0, 0)
             RETURNING id",
        )
        .bind(org.0)
        .bind(uid)
        .bind(&channel.name)
        .bind(word(&channel.kind))
        .bind(&channel.target)
        .bind(secret)
        .bind(sealed_by)
        .bind(word(&channel.body))
        .bind(channel.wants.project.map(|project| project.0))
        .bind(kinds_text(channel)?)
        .bind(word(&channel.wants.least))
        .bind(channel.wants.every)
        .bind(channel.wants.quiet)
        .bind(i64::from(channel.on))
        .bind(by)
        .bind(now)
        .bind(word(&channel.wants.runs))
        .bind(i64::from(channel.neutral))
        .fetch_one(&mut *change)
        .await
        .map_err(taken("this channel"))?;
        let kept = select(&mut *change, org, id).await?;
        change.commit().await.map_err(unavailable)?;
        kept.ok_or(StoreError::Missing("channel"))
    }

    pub(crate) async fn select_channels(&self, org: OrgId) -> Result<Vec<Channel>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{CHANNEL} WHERE org = $1 AND removed_at IS NULL ORDER BY name, id"
        )))
        .bind(org.0)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(read_channel).collect()
    }

    pub(crate) async fn select_channel(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Channel>, StoreError> {
        select(&self.read, org, id).await
    }

    pub(crate) async fn update_channel(
        &self,
        org: OrgId,
        id: i64,
        channel: &NewChannel,
    ) -> Result<Channel, StoreError> {
        let mut change = self.begin().await?;
        has_project(&mut change, org, channel).await?;
        let (secret, sealed_by) = sealed_text(channel.secret.as_ref());
        // Where the secret is another one, what was wrong with the old one says nothing any more.
        let done = sqlx::query(
            "UPDATE channel SET name = $1, target = $2, body = $3, project = $4, kinds = $5, least = $6, every = $7,
                quiet = $8, is_on = $9,
                failures = CASE WHEN secret = $10 AND target = $2 THEN failures ELSE 0 END,
                rest_until = CASE WHEN secret = $10 AND target = $2 THEN rest_until ELSE 0 END,
                secret = $10, sealed_by = $11, runs = $14, neutral = $15
             WHERE org = $12 AND id = $13 AND removed_at IS NULL",
        )
        .bind(&channel.name)
        .bind(&channel.target)
        .bind(word(&channel.body))
        .bind(channel.wants.project.map(|project| project.0))
        .bind(kinds_text(channel)?)
        .bind(word(&channel.wants.least))
        .bind(channel.wants.every)
        .bind(channel.wants.quiet)
        .bind(i64::from(channel.on))
        .bind(secret)
        .bind(sealed_by)
        .bind(org.0)
        .bind(id)
        .bind(word(&channel.wants.runs))
        .bind(i64::from(channel.neutral))
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing("channel"));
        }
        let kept = select(&mut *change, org, id).await?;
        change.commit().await.map_err(unavailable)?;
        kept.ok_or(StoreError::Missing("channel"))
    }

    pub(crate) async fn delete_channel(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError> {
        let mut change = self.begin().await?;
        let row = sqlx::query(
            "UPDATE channel SET removed_at = $1, secret = NULL, is_on = 0
             WHERE org = $2 AND id = $3 AND removed_at IS NULL RETURNING name",
        )
        .bind(now)
        .bind(org.0)
        .bind(id)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query(
            "UPDATE delivery SET state = 'dead', open = 0, ended_at = $1, error = 'the channel was removed'
             WHERE channel = $2 AND state = 'waiting'",
        )
        .bind(now)
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        sqlx::query("DELETE FROM told WHERE channel = $1")
            .bind(id)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)?;
        Ok(Some(text(&row, 0)?))
    }

    pub(crate) async fn select_sealing_keys(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT sealed_by FROM channel WHERE secret IS NOT NULL ORDER BY sealed_by",
        )
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(|row| text(row, 0)).collect()
    }
}

async fn select<'c>(
    database: impl Executor<'c, Database = Any>,
    org: OrgId,
    id: i64,
) -> Result<Option<Channel>, StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!(
        "{CHANNEL} WHERE org = $1 AND id = $2 AND removed_at IS NULL"
    )))
    .bind(org.0)
    .bind(id)
    .fetch_optional(database)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(read_channel).transpose()
}

/// The project that a channel is told of is the organisation's own.
async fn has_project(
    change: &mut Change,
    org: OrgId,
    channel: &NewChannel,
) -> Result<(), StoreError> {
    let Some(project) = channel.wants.project else {
        return Ok(());
    };
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM project WHERE org = $1 AND id = $2")
        .bind(org.0)
        .bind(project.0)
        .fetch_one(&mut **change)
        .await
        .map_err(unavailable)?;
    match found {
        0 => Err(StoreError::Missing("project")),
        _ => Ok(()),
    }
}
