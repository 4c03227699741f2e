//! Rules that hide detections.
//!
//! Which detections a rule matches is decided by [`Matcher`] alone; SQL only leaves out what can't match. So a rule is
//! applied by reading detections in parts, and each change of a rule is bounded: what it leaves to do is its backlog.

use std::collections::BTreeSet;

use runward_store::{
    Cursor, Detection, Facts, Field, Matcher, Millis, NewSuppression, OrgId, Page, PageRequest,
    Pattern, SUPPRESSIONS_MAX, StoreError, Suppression, SuppressionPreview, SuppressionState,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor};

use crate::detections::{DETECTION, NEWEST_FIRST, count_open, read_detection};
use crate::filter::Filter;
use crate::values::{int, maybe_int, maybe_text, text};
use crate::{Change, Dialect, SqlStore, unavailable};

/// Detections that one question asks for.
const PART: u32 = 1_000;
/// Parts that one change goes through: nobody else can write to SQLite meanwhile.
const PARTS: u32 = 20;
/// Rules that are tended at once.
const TENDED: i64 = 16;

const SUPPRESSION: &str = "SELECT id, name, matches, reason, created_by, created_at, expires_at, ended_at, ended_by, \
    given_back, (SELECT COUNT(*) FROM detection WHERE detection.suppressed_by = suppression.id), backlog \
    FROM suppression";

fn read_suppression(row: &AnyRow) -> Result<Suppression, StoreError> {
    Ok(Suppression {
        id: int(row, 0)?,
        name: text(row, 1)?,
        matcher: matcher(row, 2)?,
        reason: text(row, 3)?,
        created_by: text(row, 4)?,
        created_at: int(row, 5)?,
        expires_at: maybe_int(row, 6)?,
        ended_at: maybe_int(row, 7)?,
        ended_by: maybe_text(row, 8)?,
        given_back: int(row, 9)?,
        hides: int(row, 10)?,
        busy: maybe_text(row, 11)?.is_some(),
    })
}

fn matcher(row: &AnyRow, at: usize) -> Result<Matcher, StoreError> {
    serde_json::from_str(&text(row, at)?)
        .map_err(|error| StoreError::Corrupt(format!("the patterns of a rule: {error}")))
}

/// A rule that hides.
pub(crate) struct LiveRule {
    id: i64,
    matcher: Matcher,
}

/// The rules of an organisation that hide, oldest first.
pub(crate) async fn live_rules(
    change: &mut Change,
    org: OrgId,
) -> Result<Vec<LiveRule>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, matches FROM suppression WHERE org = $1 AND ended_at IS NULL ORDER BY id",
    )
    .bind(org.0)
    .fetch_all(&mut **change)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            Ok(LiveRule {
                id: int(row, 0)?,
                matcher: matcher(row, 1)?,
            })
        })
        .collect()
}

/// The oldest rule that hides this.
pub(crate) fn hiding(rules: &[LiveRule], facts: &Facts<'_>) -> Option<i64> {
    let rule = rules.iter().find(|rule| rule.matcher.matches(facts));
    rule.map(|rule| rule.id)
}

/// A part of the detections that nobody has decided about.
struct Part {
    fitting: Vec<Detection>,
    looked_at: i64,
    next: Option<Cursor>,
}

impl SqlStore {
    /// Until the change is over, no rule of the organisation changes.
    pub(crate) async fn hold_rules(
        &self,
        change: &mut Change,
        org: OrgId,
    ) -> Result<(), StoreError> {
        let lock = "SELECT id FROM org WHERE id = $1 FOR SHARE";
        self.lock(change, org, lock).await
    }

    /// Until the change is over, nobody else changes rules of the organisation or holds detections against them: a
    /// detection that is found meanwhile would be missed by both.
    pub(crate) async fn change_rules(
        &self,
        change: &mut Change,
        org: OrgId,
    ) -> Result<(), StoreError> {
        let lock = "SELECT id FROM org WHERE id = $1 FOR NO KEY UPDATE";
        self.lock(change, org, lock).await
    }

    async fn lock(
        &self,
        change: &mut Change,
        org: OrgId,
        lock: &'static str,
    ) -> Result<(), StoreError> {
        // SQLite has one writer at a time as it is.
        if self.dialect == Dialect::Postgres {
            sqlx::query(lock)
                .bind(org.0)
                .execute(&mut **change)
                .await
                .map_err(unavailable)?;
        }
        Ok(())
    }

    pub(crate) async fn insert_suppression(
        &self,
        org: OrgId,
        rule: &NewSuppression,
        by: &str,
        now: Millis,
    ) -> Result<Suppression, StoreError> {
        let mut change = self.begin().await?;
        self.change_rules(&mut change, org).await?;
        let live: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM suppression WHERE org = $1 AND ended_at IS NULL",
        )
        .bind(org.0)
        .fetch_one(&mut *change)
        .await
        .map_err(unavailable)?;
        if live >= SUPPRESSIONS_MAX {
            return Err(StoreError::Full("suppression rules"));
        }
        let matches = serde_json::to_string(rule.matcher())
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO suppression (org, name, matches, reason, created_by, created_at, expires_at, given_back)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0) RETURNING id",
        )
        .bind(org.0)
        .bind(rule.name())
        .bind(matches)
        .bind(rule.reason())
        .bind(by)
        .bind(now)
        .bind(rule.expires_at())
        .fetch_one(&mut *change)
        .await
        .map_err(unavailable)?;
        apply(&mut change, org, id, rule.matcher(), None).await?;
        change.commit().await.map_err(unavailable)?;
        let kept = self.select_suppression(org, id).await?;
        kept.ok_or(StoreError::Missing("suppression rule"))
    }

    pub(crate) async fn preview_matcher(
        &self,
        org: OrgId,
        matcher: &Matcher,
        rows: u32,
    ) -> Result<SuppressionPreview, StoreError> {
        let most = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut preview = SuppressionPreview {
            hides: 0,
            looked_at: 0,
            complete: false,
            rows: Vec::new(),
        };
        let mut place = None;
        for _ in 0..PARTS {
            let part = open_ones(&self.read, org, matcher, place).await?;
            preview.looked_at += part.looked_at;
            preview.hides += i64::try_from(part.fitting.len()).unwrap_or(i64::MAX);
            let wanted = most.saturating_sub(preview.rows.len());
            preview.rows.extend(part.fitting.into_iter().take(wanted));
            place = part.next;
            if place.is_none() {
                preview.complete = true;
                break;
            }
        }
        Ok(preview)
    }

    pub(crate) async fn select_suppressions(
        &self,
        org: OrgId,
        state: Option<SuppressionState>,
        page: PageRequest,
    ) -> Result<Page<Suppression>, StoreError> {
        let mut asked = Filter::default();
        asked.int("org = {}", org.0);
        match state {
            None => {}
            Some(SuppressionState::Live) => asked.plain("ended_at IS NULL"),
            Some(SuppressionState::Expired) => {
                asked.plain("ended_at IS NOT NULL AND ended_by IS NULL");
            }
            Some(SuppressionState::Ended) => asked.plain("ended_by IS NOT NULL"),
        }
        asked.after("created_at", "id", page.after);
        let rows = asked
            .ask(&self.read, SUPPRESSION, "created_at DESC, id DESC", page)
            .await?;
        let rows = rows
            .iter()
            .map(read_suppression)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row| Cursor {
            time: row.created_at,
            id: row.id,
        }))
    }

    pub(crate) async fn select_suppression(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Suppression>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "{SUPPRESSION} WHERE org = $1 AND id = $2"
        )))
        .bind(org.0)
        .bind(id)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_suppression).transpose()
    }

    /// Ends a rule, by somebody or because its time is over. Whether it was live.
    pub(crate) async fn end_rule(
        &self,
        org: OrgId,
        id: i64,
        by: Option<&str>,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        self.change_rules(&mut change, org).await?;
        let done = sqlx::query(
            "UPDATE suppression SET ended_at = $1, ended_by = $2 WHERE org = $3 AND id = $4 AND ended_at IS NULL",
        )
        .bind(now)
        .bind(by)
        .bind(org.0)
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        give_back(&mut change, org, id).await?;
        change.commit().await.map_err(unavailable)?;
        Ok(true)
    }

    pub(crate) async fn tend_rules(&self, now: Millis) -> Result<(), StoreError> {
        let due = sqlx::query(
            "SELECT org, id FROM suppression WHERE ended_at IS NULL AND expires_at <= $1
             ORDER BY expires_at LIMIT $2",
        )
        .bind(now)
        .bind(TENDED)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        for row in &due {
            self.end_rule(OrgId(int(row, 0)?), int(row, 1)?, None, now)
                .await?;
        }
        let busy = sqlx::query(
            "SELECT org, id FROM suppression WHERE backlog IS NOT NULL ORDER BY id LIMIT $1",
        )
        .bind(TENDED)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        for row in &busy {
            self.go_on(OrgId(int(row, 0)?), int(row, 1)?).await?;
        }
        Ok(())
    }

    /// Goes on with what the last change of a rule has left to do.
    async fn go_on(&self, org: OrgId, id: i64) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        self.change_rules(&mut change, org).await?;
        let row = sqlx::query(
            "SELECT matches, ended_at, backlog FROM suppression WHERE id = $1 AND backlog IS NOT NULL",
        )
        .bind(id)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?;
        // Another worker may have been quicker.
        let Some(row) = row else { return Ok(()) };
        if maybe_int(&row, 1)?.is_some() {
            give_back(&mut change, org, id).await?;
        } else {
            let place = Cursor::parse(&text(&row, 2)?);
            apply(&mut change, org, id, &matcher(&row, 0)?, place).await?;
        }
        change.commit().await.map_err(unavailable)
    }
}

/// The part of the new detections behind a place, newest first.
async fn open_ones<'c>(
    database: impl Executor<'c, Database = Any>,
    org: OrgId,
    matcher: &Matcher,
    after: Option<Cursor>,
) -> Result<Part, StoreError> {
    let mut asked = Filter::default();
    asked.int("detection.org = {}", org.0);
    asked.plain("detection.status = 'new'");
    for (field, condition) in [
        (Field::Kind, "detection.kind = {}"),
        (Field::Project, "project.name = {}"),
        (Field::Pipeline, "job.pipeline = {}"),
        (Field::Job, "job.name = {}"),
    ] {
        if let Some(only) = matcher.pattern(field).and_then(Pattern::only) {
            asked.text(condition, only.to_owned());
        }
    }
    asked.after("detection.at", "detection.id", after);
    let page = PageRequest { after, limit: PART };
    let rows = asked.ask(database, DETECTION, NEWEST_FIRST, page).await?;
    let rows = rows
        .iter()
        .map(read_detection)
        .collect::<Result<Vec<_>, _>>()?;
    let mut page = Page::of(rows, PART, |row: &Detection| Cursor {
        time: row.at,
        id: row.id,
    });
    let looked_at = i64::try_from(page.rows.len()).unwrap_or(i64::MAX);
    page.rows.retain(|row| matcher.matches(&row.facts()));
    Ok(Part {
        fitting: page.rows,
        looked_at,
        next: page.next,
    })
}

/// Hides what a rule matches, from a place on; keeps where it has to go on.
async fn apply(
    change: &mut Change,
    org: OrgId,
    id: i64,
    matcher: &Matcher,
    mut place: Option<Cursor>,
) -> Result<(), StoreError> {
    for _ in 0..PARTS {
        let part = open_ones(&mut **change, org, matcher, place).await?;
        let mut runs = BTreeSet::new();
        for detection in part.fitting {
            hide(change, detection.id, id).await?;
            runs.insert(detection.run);
        }
        for run in runs {
            count_open(change, &run).await?;
        }
        place = part.next;
        if place.is_none() {
            break;
        }
    }
    leave(change, id, place.map(Cursor::to_text), 0).await
}

async fn hide(change: &mut Change, detection: i64, rule: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE detection SET status = 'suppressed', suppressed_by = $1 WHERE id = $2")
        .bind(rule)
        .bind(detection)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Makes new again what a rule that is over has hidden, but for what another one hides, too.
async fn give_back(change: &mut Change, org: OrgId, id: i64) -> Result<(), StoreError> {
    let others = live_rules(change, org).await?;
    let mut given_back = 0;
    let mut more = true;
    for _ in 0..PARTS {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{DETECTION} WHERE detection.suppressed_by = $1 LIMIT $2"
        )))
        .bind(id)
        .bind(i64::from(PART))
        .fetch_all(&mut **change)
        .await
        .map_err(unavailable)?;
        let mut runs = BTreeSet::new();
        for row in &rows {
            let detection = read_detection(row)?;
            if let Some(other) = hiding(&others, &detection.facts()) {
                hide(change, detection.id, other).await?;
                continue;
            }
            sqlx::query("UPDATE detection SET status = 'new', suppressed_by = NULL WHERE id = $1")
                .bind(detection.id)
                .execute(&mut **change)
                .await
                .map_err(unavailable)?;
            given_back += 1;
            runs.insert(detection.run);
        }
        for run in runs {
            count_open(change, &run).await?;
        }
        more = rows.len() >= usize::try_from(PART).unwrap_or(usize::MAX);
        if !more {
            break;
        }
    }
    leave(change, id, more.then(String::new), given_back).await
}

/// Keeps what a change of a rule has left to do, and how much it has given back.
async fn leave(
    change: &mut Change,
    id: i64,
    backlog: Option<String>,
    given_back: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE suppression SET backlog = $1, given_back = given_back + $2 WHERE id = $3")
        .bind(backlog)
        .bind(given_back)
        .bind(id)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(())
}
