//! Whether two rows of observations are alike up to the numbers of transactions and sessions.

use std::collections::BTreeMap;
use std::fmt;

use super::seen::{Field, Seen, Value};

/// What is known of both sides' numbers so far.
///
/// Transactions are alike when there is a mapping between them that keeps their order; it is put together
/// from what was seen in the same places. Numbers that are not positive have meanings of their own.
#[derive(Debug, Default)]
pub struct Likeness {
    zxids: BTreeMap<i64, i64>,
    sessions: BTreeMap<i64, i64>,
    sessions_back: BTreeMap<i64, i64>,
}

/// The first field that is not alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlike {
    /// Its name, without numbers that count places.
    pub field: String,
    what: String,
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Likeness {
    /// The first thing in which they differ, if there is one.
    pub fn compare(&mut self, left: &Seen, right: &Seen) -> Option<Unlike> {
        let unlike = |field: &str, what: String| {
            let field = field
                .chars()
                .filter(|char| !char.is_ascii_digit())
                .collect();
            Some(Unlike { field, what })
        };
        for (a, b) in left.fields.iter().zip(&right.fields) {
            if a.name != b.name {
                let what = format!("{} on the left where {} is on the right", show(a), show(b));
                return unlike(&a.name, what);
            }
            if let Err(why) = self.values(&a.value, &b.value) {
                let what = format!("{} and {}: {why}", show(a), show(b));
                return unlike(&a.name, what);
            }
        }
        let (a, b) = (left.fields.len(), right.fields.len());
        if let Some(more) = left.fields.get(b) {
            return unlike(&more.name, format!("{} on the left alone", show(more)));
        }
        if let Some(more) = right.fields.get(a) {
            return unlike(&more.name, format!("{} on the right alone", show(more)));
        }
        None
    }

    fn values(&mut self, left: &Value, right: &Value) -> Result<(), String> {
        match (left, right) {
            (Value::Zxid(a), Value::Zxid(b)) => self.zxids(*a, *b),
            (Value::Reached(a), Value::Reached(b)) => self.reached(*a, *b),
            (Value::Session(a), Value::Session(b)) => self.sessions(*a, *b),
            (a, b) if a == b => Ok(()),
            _ => Err("they differ".to_owned()),
        }
    }

    fn zxids(&mut self, left: i64, right: i64) -> Result<(), String> {
        if left <= 0 || right <= 0 {
            return if left == right {
                Ok(())
            } else {
                Err("one of them is no transaction".to_owned())
            };
        }
        if let Some(known) = self.zxids.get(&left) {
            return if *known == right {
                Ok(())
            } else {
                Err(format!("the first was {known:#x} on the right before"))
            };
        }
        let before = self.zxids.range(..left).next_back();
        let behind = self.zxids.range(left..).next();
        if let Some((a, b)) = before.filter(|(_, b)| **b >= right) {
            return Err(format!("left {a:#x} was before it, right {b:#x} was not"));
        }
        if let Some((a, b)) = behind.filter(|(_, b)| **b <= right) {
            return Err(format!("left {a:#x} was behind it, right {b:#x} was not"));
        }
        self.zxids.insert(left, right);
        Ok(())
    }

    /// What changes nothing may take a number on one side alone: a server is as far as another when it is
    /// behind the same transactions.
    fn reached(&self, left: i64, right: i64) -> Result<(), String> {
        if left <= 0 || right <= 0 {
            return if left == right {
                Ok(())
            } else {
                Err("one of them is no transaction".to_owned())
            };
        }
        let before = self.zxids.range(..=left).next_back();
        let behind = self.zxids.range(left + 1..).next();
        if let Some((a, b)) = before.filter(|(_, b)| **b > right) {
            return Err(format!("left {a:#x} was not behind it, right {b:#x} was"));
        }
        if let Some((a, b)) = behind.filter(|(_, b)| **b <= right) {
            return Err(format!("left {a:#x} was behind it, right {b:#x} was not"));
        }
        Ok(())
    }

    fn sessions(&mut self, left: i64, right: i64) -> Result<(), String> {
        let known = self.sessions.get(&left).copied();
        let known_back = self.sessions_back.get(&right).copied();
        match (known, known_back) {
            (Some(b), Some(a)) if (a, b) == (left, right) => Ok(()),
            // Numbers that stand for no session, or for another kind of node, are the same everywhere.
            (None, None) if left == right => Ok(()),
            (None, None) if left != 0 && right != 0 => {
                self.sessions.insert(left, right);
                self.sessions_back.insert(right, left);
                Ok(())
            }
            _ => Err("they are not the same session".to_owned()),
        }
    }
}

fn show(field: &Field) -> String {
    let value = match &field.value {
        Value::Is(text) => text.clone(),
        Value::Zxid(zxid) | Value::Reached(zxid) => format!("zxid {zxid:#x}"),
        Value::Session(id) => format!("session {id:#x}"),
    };
    format!("{} = {value}", field.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zxids(all: &[i64]) -> Seen {
        let mut seen = Seen::default();
        for zxid in all {
            seen.zxid("zxid", *zxid);
        }
        seen
    }

    #[test]
    fn transactions_are_alike_when_their_order_is() {
        let mut likeness = Likeness::default();
        assert_eq!(likeness.compare(&zxids(&[10, 30]), &zxids(&[1, 9])), None);
        assert_eq!(likeness.compare(&zxids(&[20]), &zxids(&[4])), None);
        assert_eq!(likeness.compare(&zxids(&[10]), &zxids(&[1])), None);
        assert!(likeness.compare(&zxids(&[25]), &zxids(&[3])).is_some());
        assert!(likeness.compare(&zxids(&[40]), &zxids(&[9])).is_some());
        assert!(likeness.compare(&zxids(&[30]), &zxids(&[10])).is_some());
        assert!(likeness.compare(&zxids(&[5]), &zxids(&[2])).is_some());
        assert!(likeness.compare(&zxids(&[0]), &zxids(&[11])).is_some());
        assert_eq!(likeness.compare(&zxids(&[-1]), &zxids(&[-1])), None);
    }

    #[test]
    fn servers_are_as_far_as_each_other_behind_the_same_transactions() {
        let seen = |zxid: i64| {
            let mut seen = Seen::default();
            seen.reached("zxid", zxid);
            seen
        };
        let mut likeness = Likeness::default();
        assert_eq!(likeness.compare(&zxids(&[10, 30]), &zxids(&[1, 9])), None);
        for (left, right) in [
            (10, 1),
            (11, 1),
            (10, 8),
            (29, 8),
            (30, 9),
            (40, 9),
            (-1, -1),
        ] {
            assert_eq!(likeness.compare(&seen(left), &seen(right)), None, "{left}");
        }
        for (left, right) in [(9, 1), (10, 9), (29, 9), (30, 8), (-1, 1), (0, -1)] {
            assert!(
                likeness.compare(&seen(left), &seen(right)).is_some(),
                "{left}"
            );
        }
    }

    #[test]
    fn sessions_are_alike_one_by_one() {
        let seen = |id: i64| {
            let mut seen = Seen::default();
            seen.session("owner", id);
            seen
        };
        let mut likeness = Likeness::default();
        let mut alike = |a, b| likeness.compare(&seen(a), &seen(b)).is_none();
        assert!(alike(0, 0) && alike(5, 7) && alike(5, 7) && alike(i64::MIN, i64::MIN));
        assert!(!alike(5, 8) && !alike(6, 7) && !alike(0, 9) && !alike(9, 0));
        assert!(alike(6, 5));
    }

    #[test]
    fn what_only_one_side_shows_is_a_difference() {
        let mut some = Seen::default();
        some.is("err", "OK");
        let mut more = some.clone();
        more.is("event 3", "x");
        let mut likeness = Likeness::default();
        let unlike = likeness.compare(&some, &more).unwrap();
        assert_eq!(unlike.field, "event ");
        assert!(unlike.to_string().contains("on the right alone"));
        assert!(likeness.compare(&more, &some).is_some());
        let mut other = Seen::default();
        other.is("err", "NONODE");
        assert!(likeness.compare(&some, &other).is_some());
    }
}
