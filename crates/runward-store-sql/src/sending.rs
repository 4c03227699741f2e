//! Workers take messages, and say what came of them.
//!
//! A channel is held by one worker at a time, until a time. That keeps its messages in order, and lets another worker go
//! on where one was killed.

use runward_store::{Due, Millis, Settled, StoreError, TAKEN_MAX, Taken, Taker, WAITING_MAX};
use sqlx::AssertSqlSafe;

use crate::channels::{UNCOUNTED, read_channel};
use crate::outbox::read_parcel;
use crate::values::{int, text};
use crate::{Change, SqlStore, unavailable};

/// Whether a message can be sent now. One that is open is only sent once there is room for those to come: until then it
/// takes them in.
const SENDABLE: &str = "delivery.state = 'waiting' AND delivery.due_at <= $1 AND (delivery.open = 0 OR (
    SELECT COUNT(*) FROM delivery AS other WHERE other.channel = delivery.channel AND other.state = 'waiting')
    <= $2)";

impl SqlStore {
    pub(crate) async fn take_channels(
        &self,
        taker: &Taker,
        limit: u32,
        now: Millis,
        until: Millis,
    ) -> Result<Vec<Taken>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT channel.id FROM channel
             WHERE channel.leased_until <= $1 AND channel.rest_until <= $1 AND channel.is_on = 1
               AND channel.removed_at IS NULL AND (channel.secret IS NULL OR channel.sealed_by = $3)
               AND EXISTS (SELECT 1 FROM delivery WHERE delivery.channel = channel.id AND {SENDABLE})
             ORDER BY channel.leased_until, channel.id LIMIT $4"
        )))
        .bind(now)
        .bind(WAITING_MAX)
        .bind(&taker.key)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        let mut all = Vec::new();
        for row in &rows {
            let taken = self.take_channel(taker, int(row, 0)?, now, until).await?;
            all.extend(taken);
        }
        Ok(all)
    }

    async fn take_channel(
        &self,
        taker: &Taker,
        channel: i64,
        now: Millis,
        until: Millis,
    ) -> Result<Option<Taken>, StoreError> {
        let mut change = self.begin().await?;
        let held = sqlx::query(
            "UPDATE channel SET leased_by = $1, leased_until = $2 WHERE id = $3 AND leased_until <= $4",
        )
        .bind(&taker.name)
        .bind(until)
        .bind(channel)
        .bind(now)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        // Another worker was quicker.
        if held.rows_affected() == 0 {
            return Ok(None);
        }
        let row = sqlx::query(AssertSqlSafe(format!("{UNCOUNTED} WHERE id = $1")))
            .bind(channel)
            .fetch_one(&mut *change)
            .await
            .map_err(unavailable)?;
        let channel = read_channel(&row)?;
        let row = sqlx::query("SELECT slug, name FROM org WHERE id = $1")
            .bind(channel.org.0)
            .fetch_one(&mut *change)
            .await
            .map_err(unavailable)?;
        let taken = Taken {
            org_slug: text(&row, 0)?,
            org_name: text(&row, 1)?,
            messages: due_messages(&mut change, channel.id, now).await?,
            channel,
        };
        change.commit().await.map_err(unavailable)?;
        Ok(Some(taken))
    }

    pub(crate) async fn begin_attempt(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        now: Millis,
        until: Millis,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let held = sqlx::query(
            "UPDATE channel SET leased_until = $1 WHERE id = $2 AND leased_by = $3 AND is_on = 1",
        )
        .bind(until)
        .bind(channel)
        .bind(&taker.name)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        let begun = sqlx::query(
            "UPDATE delivery SET attempts = attempts + 1, attempted_at = $1 WHERE id = $2 AND state = 'waiting'",
        )
        .bind(now)
        .bind(message)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        if held.rows_affected() == 0 || begun.rows_affected() == 0 {
            return Ok(false);
        }
        change.commit().await.map_err(unavailable)?;
        Ok(true)
    }

    pub(crate) async fn settle_message(
        &self,
        taker: &Taker,
        channel: i64,
        message: i64,
        settled: &Settled,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        note_health(&mut change, taker, channel, settled, now).await?;
        let query = match settled {
            // Its content is needed no more.
            Settled::Delivered => sqlx::query(
                "UPDATE delivery SET state = 'delivered', ended_at = $1, error = NULL, parcel = ''
                 WHERE id = $2 AND state = 'waiting'",
            )
            .bind(now)
            .bind(message),
            Settled::Later { error, due_at, .. } => sqlx::query(
                "UPDATE delivery SET due_at = $1, error = $3 WHERE id = $2 AND state = 'waiting'",
            )
            .bind(*due_at)
            .bind(message)
            .bind(error.clone()),
            Settled::Dead { error } => sqlx::query(
                "UPDATE delivery SET state = 'dead', ended_at = $1, error = $3 WHERE id = $2 AND state = 'waiting'",
            )
            .bind(now)
            .bind(message)
            .bind(error.clone()),
        };
        query.execute(&mut *change).await.map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn release_channel(
        &self,
        taker: &Taker,
        channel: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        // By this time, channels are taken in turn.
        sqlx::query("UPDATE channel SET leased_until = $3 WHERE id = $1 AND leased_by = $2")
            .bind(channel)
            .bind(&taker.name)
            .bind(now)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}

/// The messages that are due, closed, so that what comes from now on goes into another one.
async fn due_messages(
    change: &mut Change,
    channel: i64,
    now: Millis,
) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT id, attempts, since, created_at, parcel, open FROM delivery
         WHERE channel = $3 AND {SENDABLE} ORDER BY due_at, id LIMIT $4"
    )))
    .bind(now)
    .bind(WAITING_MAX)
    .bind(channel)
    .bind(i64::from(TAKEN_MAX))
    .fetch_all(&mut **change)
    .await
    .map_err(unavailable)?;
    let mut messages = Vec::new();
    for row in &rows {
        let id = int(row, 0)?;
        if int(row, 5)? != 0 {
            sqlx::query("UPDATE delivery SET open = 0 WHERE id = $1")
                .bind(id)
                .execute(&mut **change)
                .await
                .map_err(unavailable)?;
        }
        messages.push(Due {
            id,
            attempts: int(row, 1)?,
            since: int(row, 2)?,
            created_at: int(row, 3)?,
            parcel: read_parcel(&text(row, 4)?)?,
        });
    }
    Ok(messages)
}

/// Notes how it goes with a channel, unless somebody else has it by now.
async fn note_health(
    change: &mut Change,
    taker: &Taker,
    channel: i64,
    settled: &Settled,
    now: Millis,
) -> Result<(), StoreError> {
    let (error, rest_until) = match settled {
        Settled::Delivered => {
            sqlx::query(
                "UPDATE channel SET delivered_at = $1, failures = 0, rest_until = 0
                 WHERE id = $2 AND leased_by = $3",
            )
            .bind(now)
            .bind(channel)
            .bind(&taker.name)
            .execute(&mut **change)
            .await
            .map_err(unavailable)?;
            return Ok(());
        }
        Settled::Later {
            error, rest_until, ..
        } => (error, *rest_until),
        Settled::Dead { error } => (error, 0),
    };
    sqlx::query(
        "UPDATE channel SET failed_at = $1, error = $2, failures = failures + 1, rest_until = $3
         WHERE id = $4 AND leased_by = $5",
    )
    .bind(now)
    .bind(error)
    .bind(rest_until)
    .bind(channel)
    .bind(&taker.name)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}
