//! The log of messages, as people read it and act on it.

use runward_store::{
    Cursor, Delivery, DeliveryFilter, Millis, OrgId, Page, PageRequest, StoreError,
};
use sqlx::any::AnyRow;

use crate::filter::Filter;
use crate::outcomes::newer;
use crate::values::{delivery_state, int, maybe_int, maybe_text, severity, text, word};
use crate::{SqlStore, unavailable};

const DELIVERY: &str = "SELECT delivery.id, delivery.channel, channel.name, delivery.state, delivery.test, \
    delivery.severity, delivery.what, delivery.count, delivery.created_at, delivery.due_at, delivery.attempts, \
    delivery.attempted_at, delivery.ended_at, delivery.error FROM delivery \
    JOIN channel ON channel.id = delivery.channel";

fn read_delivery(row: &AnyRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: int(row, 0)?,
        channel: int(row, 1)?,
        channel_name: text(row, 2)?,
        state: delivery_state(row, 3)?,
        test: int(row, 4)? != 0,
        severity: severity(row, 5)?,
        what: text(row, 6)?,
        count: int(row, 7)?,
        created_at: int(row, 8)?,
        due_at: int(row, 9)?,
        attempts: int(row, 10)?,
        attempted_at: maybe_int(row, 11)?,
        ended_at: maybe_int(row, 12)?,
        error: maybe_text(row, 13)?,
    })
}

impl SqlStore {
    pub(crate) async fn select_deliveries(
        &self,
        org: OrgId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let mut asked = Filter::default();
        asked.int("delivery.org = {}", org.0);
        if let Some(channel) = filter.channel {
            asked.int("delivery.channel = {}", channel);
        }
        if let Some(state) = filter.state {
            asked.text("delivery.state = {}", word(&state));
        }
        asked.after("delivery.created_at", "delivery.id", page.after);
        let order = "delivery.created_at DESC, delivery.id DESC";
        let rows = asked.ask(&self.read, DELIVERY, order, page).await?;
        let rows = rows
            .iter()
            .map(read_delivery)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row| Cursor {
            time: row.created_at,
            id: row.id,
        }))
    }

    pub(crate) async fn insert_test(
        &self,
        org: OrgId,
        id: i64,
        what: &str,
        error: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let state = if error.is_some() { "dead" } else { "delivered" };
        sqlx::query(
            "INSERT INTO delivery (org, channel, state, open, test, severity, what, parcel, count, created_at, since,
                due_at, attempts, attempted_at, ended_at, error)
             SELECT $1, id, $3, 0, 1, 'low', $4, '', 1, $5, $5, $5, 1, $5, $5, $6 FROM channel
             WHERE org = $1 AND id = $2 AND removed_at IS NULL",
        )
        .bind(org.0)
        .bind(id)
        .bind(state)
        .bind(what)
        .bind(now)
        .bind(error)
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn revive(
        &self,
        org: OrgId,
        id: i64,
        now: Millis,
    ) -> Result<Option<String>, StoreError> {
        let mut change = self.begin().await?;
        let row = sqlx::query(
            "SELECT delivery.what, CASE WHEN channel.removed_at IS NULL THEN 0 ELSE 1 END, channel.id
             FROM delivery JOIN channel ON channel.id = delivery.channel
             WHERE delivery.org = $1 AND delivery.id = $2 AND delivery.state = 'dead' AND delivery.test = 0",
        )
        .bind(org.0)
        .bind(id)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        if int(&row, 1)? != 0 {
            let why = "the channel of this message was removed: nothing can be sent to it again";
            return Err(StoreError::Conflict(why.to_owned()));
        }
        if newer(&mut change, id).await?.is_some() {
            let why =
                "what it tells is not so any more: a newer message about the same job was made";
            return Err(StoreError::Conflict(why.to_owned()));
        }
        // Whoever asks for it has mended what was wrong.
        sqlx::query("UPDATE channel SET rest_until = 0 WHERE id = $1")
            .bind(int(&row, 2)?)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        let done = sqlx::query(
            "UPDATE delivery SET state = 'waiting', since = $1, due_at = $1, attempts = 0, ended_at = NULL
             WHERE id = $2 AND state = 'dead'",
        )
        .bind(now)
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        change.commit().await.map_err(unavailable)?;
        Ok(Some(text(&row, 0)?))
    }
}
