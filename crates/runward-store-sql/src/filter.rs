//! A question whose conditions are only known when it is asked.

use runward_store::{Cursor, PageRequest, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor};

use crate::unavailable;

/// Conditions of this crate's constants, with the values that they compare with.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    conditions: String,
    values: Vec<Value>,
}

#[derive(Debug)]
enum Value {
    Int(i64),
    Text(String),
}

impl Filter {
    /// A condition, in which `{}` is the place of the value.
    pub(crate) fn int(&mut self, condition: &'static str, value: i64) {
        self.add(condition, Value::Int(value));
    }

    /// As [`Filter::int`], with text.
    pub(crate) fn text(&mut self, condition: &'static str, value: String) {
        self.add(condition, Value::Text(value));
    }

    /// A condition without a value.
    pub(crate) fn plain(&mut self, condition: &'static str) {
        self.conditions.push_str(self.joint());
        self.conditions.push_str(condition);
    }

    /// Rows that come after a place in a list that is sorted by these columns, both falling.
    pub(crate) fn after(&mut self, time: &'static str, id: &'static str, place: Option<Cursor>) {
        let Some(place) = place else { return };
        let (at, next) = (self.values.len() + 1, self.values.len() + 2);
        let joint = self.joint();
        // Writing the first half apart lets the database begin in the index at the place.
        self.conditions.push_str(&format!(
            "{joint}{time} <= ${at} AND ({time} < ${at} OR {id} < ${next})"
        ));
        self.values.push(Value::Int(place.time));
        self.values.push(Value::Int(place.id));
    }

    fn add(&mut self, condition: &'static str, value: Value) {
        self.values.push(value);
        let place = format!("${}", self.values.len());
        let joint = self.joint();
        self.conditions.push_str(joint);
        self.conditions.push_str(&condition.replace("{}", &place));
    }

    fn joint(&self) -> &'static str {
        if self.conditions.is_empty() {
            " WHERE "
        } else {
            " AND "
        }
    }

    /// Asks `SELECT … FROM …` with the conditions, in this order, for one row more than the page has.
    pub(crate) async fn ask<'c>(
        self,
        database: impl Executor<'c, Database = Any>,
        select: &str,
        order: &'static str,
        page: PageRequest,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let limit = i64::from(page.limit) + 1;
        self.ask_all(database, select, &format!("ORDER BY {order} LIMIT {limit}"))
            .await
    }

    /// Asks `SELECT … FROM …` with the conditions, and with this behind them.
    pub(crate) async fn ask_all<'c>(
        self,
        database: impl Executor<'c, Database = Any>,
        select: &str,
        behind: &str,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let sql = format!("{select}{} {behind}", self.conditions);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in self.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query.fetch_all(database).await.map_err(unavailable)
    }
}
