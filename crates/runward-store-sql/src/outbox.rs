//! What is to be told becomes messages, within the change that makes it necessary.
//!
//! The rows of the channels are locked for that, in one order, so that what was told already and how many messages wait
//! is known for sure, and workers beside each other never wait in a circle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use runward_store::{
    Channel, MessageBody, Millis, News, Notification, OrgId, Parcel, StoreError, TOLD_MAX,
    WAITING_MAX,
};
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::channels::{UNCOUNTED, read_channel};
use crate::values::{hex, int, text, word};
use crate::{Change, Dialect, SqlStore, unavailable};

/// Things that one statement asks about, with a parameter each.
const PART: usize = 200;
/// Characters of the first sentence that the log keeps.
const WHAT_MAX: usize = 300;

impl SqlStore {
    /// Tells every channel what it wants of this.
    pub(crate) async fn tell(
        &self,
        change: &mut Change,
        org: OrgId,
        news: &[News],
        now: Millis,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        let listening = self.listening(change, org).await?;
        for channel in listening
            .into_iter()
            .filter(|channel| channel.kept.kind.tells_detections())
        {
            let wanted: Vec<&News> = news
                .iter()
                .filter(|news| channel.kept.wants.include(news))
                .collect();
            let told = not_told_lately(change, &channel, wanted, now).await?;
            post(change, &channel, told, now).await?;
        }
        Ok(())
    }

    /// The channels that are on, locked.
    async fn listening(&self, change: &mut Change, org: OrgId) -> Result<Vec<Channel>, StoreError> {
        let lock = match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR NO KEY UPDATE",
        };
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{UNCOUNTED} WHERE org = $1 AND removed_at IS NULL AND is_on = 1 ORDER BY id {lock}"
        )))
        .bind(org.0)
        .fetch_all(&mut **change)
        .await
        .map_err(unavailable)?;
        rows.iter().map(read_channel).collect()
    }
}

/// What of this the channel was not told within its quiet time. The rest is counted, and the count is told with the next.
async fn not_told_lately(
    change: &mut Change,
    channel: &Channel,
    wanted: Vec<&News>,
    now: Millis,
) -> Result<Vec<Notification>, StoreError> {
    let quiet = channel.kept.wants.quiet;
    if quiet <= 0 {
        return Ok(wanted
            .into_iter()
            .map(|news| news.notification.clone())
            .collect());
    }
    // One statement must not name the same row twice.
    let mut by_hash: BTreeMap<String, &News> = BTreeMap::new();
    for news in wanted {
        by_hash.entry(hash(&news.same)).or_insert(news);
    }
    let all: Vec<(String, &News)> = by_hash.into_iter().collect();
    let mut told = Vec::new();
    for part in all.chunks(PART) {
        let said = note_told(change, channel.id, part, now, now.saturating_sub(quiet)).await?;
        told.extend(part.iter().filter_map(|(hash, news)| {
            let repeats = *said.get(hash)?;
            Some(Notification {
                repeats,
                ..news.notification.clone()
            })
        }));
    }
    Ok(told)
}

/// Notes that these are told now, but for those that were told after `since`: they are counted. Those that are told, with
/// how many were counted before.
async fn note_told(
    change: &mut Change,
    channel: i64,
    part: &[(String, &News)],
    now: Millis,
    since: Millis,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut sql = String::from("INSERT INTO told (channel, same, told_at, held, said) VALUES ");
    for place in 0..part.len() {
        let comma = if place == 0 { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(sql, "{comma}($1, ${}, $2, 0, 0)", place + 4);
    }
    sql.push_str(
        " ON CONFLICT (channel, same) DO UPDATE SET
            said = CASE WHEN told.told_at > $3 THEN told.said ELSE told.held END,
            held = CASE WHEN told.told_at > $3 THEN told.held + 1 ELSE 0 END,
            told_at = CASE WHEN told.told_at > $3 THEN told.told_at ELSE excluded.told_at END
          RETURNING same, held, said",
    );
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(channel)
        .bind(now)
        .bind(since);
    for (hash, _) in part {
        query = query.bind(hash.clone());
    }
    let rows = query.fetch_all(&mut **change).await.map_err(unavailable)?;
    let mut told = BTreeMap::new();
    for row in &rows {
        // What was held back now is at least one.
        if int(row, 1)? == 0 {
            told.insert(text(row, 0)?, int(row, 2)?);
        }
    }
    Ok(told)
}

fn hash(same: &str) -> String {
    hex(&Sha256::digest(same.as_bytes()).into())
}

/// Makes messages of this.
async fn post(
    change: &mut Change,
    channel: &Channel,
    mut told: Vec<Notification>,
    now: Millis,
) -> Result<(), StoreError> {
    if told.is_empty() {
        return Ok(());
    }
    // The gravest first: what a message has no room for is only counted.
    told.sort_by(|a, b| (b.severity, a.at, &a.sentence).cmp(&(a.severity, b.at, &b.sentence)));
    let wants = &channel.kept.wants;
    let due = wants.due(now);
    if wants.every > 0 {
        return gather(change, channel, told, now, due).await;
    }
    let mut waiting = count_waiting(change, channel.id).await?;
    let size = match channel.kept.body {
        MessageBody::Raw => 1,
        // A record has each of them, and not the number of those that had no room.
        MessageBody::Ocsf => TOLD_MAX,
        MessageBody::Envelope if channel.kept.kind.is_record() => TOLD_MAX,
        MessageBody::Envelope => told.len(),
    };
    let mut parts = told.chunks(size);
    for part in parts.by_ref() {
        if waiting >= WAITING_MAX {
            gather(change, channel, part.to_vec(), now, due).await?;
            continue;
        }
        let parcel = part.iter().cloned().collect();
        insert(change, channel, &parcel, (now, due), None).await?;
        waiting += 1;
    }
    Ok(())
}

pub(crate) async fn count_waiting(change: &mut Change, channel: i64) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT COUNT(*) FROM delivery WHERE channel = $1 AND state = 'waiting'")
        .bind(channel)
        .fetch_one(&mut **change)
        .await
        .map_err(unavailable)
}

/// Puts more into the message that is open, or opens one.
async fn gather(
    change: &mut Change,
    channel: &Channel,
    told: Vec<Notification>,
    now: Millis,
    due: Millis,
) -> Result<(), StoreError> {
    // Whoever sends closes it first, and for that has to lock the channel as well.
    let row = sqlx::query(
        "SELECT id, parcel FROM delivery WHERE channel = $1 AND state = 'waiting' AND open = 1 ORDER BY id DESC LIMIT 1",
    )
    .bind(channel.id)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else {
        let parcel = told.into_iter().collect();
        return open(change, channel, &parcel, now, due).await;
    };
    let mut parcel = read_parcel(&text(&row, 1)?)?;
    for notification in told {
        parcel.add(notification);
    }
    sqlx::query("UPDATE delivery SET parcel = $1, count = $2, severity = $3 WHERE id = $4")
        .bind(parcel_text(&parcel)?)
        .bind(parcel.count())
        .bind(word(&parcel.severity))
        .bind(int(&row, 0)?)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Which job a message is about, and what it says of it.
pub(crate) struct About<'a> {
    pub(crate) id: &'a str,
    pub(crate) said: &'a str,
}

/// Keeps a message that was made and is due at these times.
pub(crate) async fn insert(
    change: &mut Change,
    channel: &Channel,
    parcel: &Parcel,
    (now, due): (Millis, Millis),
    about: Option<About<'_>>,
) -> Result<(), StoreError> {
    insert_as(change, channel, parcel, (now, due), (false, about)).await
}

/// The same, into which more is put until it is sent.
async fn open(
    change: &mut Change,
    channel: &Channel,
    parcel: &Parcel,
    now: Millis,
    due: Millis,
) -> Result<(), StoreError> {
    insert_as(change, channel, parcel, (now, due), (true, None)).await
}

async fn insert_as(
    change: &mut Change,
    channel: &Channel,
    parcel: &Parcel,
    (now, due): (Millis, Millis),
    (open, about): (bool, Option<About<'_>>),
) -> Result<(), StoreError> {
    let what = parcel.told.first().map_or("", |first| &first.sentence);
    sqlx::query(
        "INSERT INTO delivery (org, channel, state, open, test, severity, what, parcel, count, created_at, since, due_at,
            attempts, about, said)
         VALUES ($1, $2, 'waiting', $3, 0, $4, $5, $6, $7, $8, $9, $9, 0, $10, $11)",
    )
    .bind(channel.org.0)
    .bind(channel.id)
    .bind(i64::from(open))
    .bind(word(&parcel.severity))
    .bind(what.chars().take(WHAT_MAX).collect::<String>())
    .bind(parcel_text(parcel)?)
    .bind(parcel.count())
    .bind(now)
    .bind(due)
    .bind(about.as_ref().map(|about| about.id))
    .bind(about.as_ref().map(|about| about.said))
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}

fn parcel_text(parcel: &Parcel) -> Result<String, StoreError> {
    serde_json::to_string(parcel).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(crate) fn read_parcel(text: &str) -> Result<Parcel, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the content of a message: {error}")))
}
