//! Numbers that grow with the metadata: a node that has begun anew shows older metadata again, and
//! with it older numbers, so that the order of time says nothing.

use std::collections::BTreeMap;

/// What nodes have said of one number.
#[derive(Default)]
pub(super) struct Growing(BTreeMap<i64, (i64, usize)>);

impl Growing {
    /// A node says what the number is in the metadata up to `offset`. Answers who has said what does
    /// not go with it.
    pub(super) fn say(&mut self, node: usize, offset: i64, number: i64) -> Option<String> {
        let before = self.0.range(..=offset).next_back();
        let before = before.filter(|(_, (earlier, _))| *earlier > number);
        let behind = self.0.range(offset..).next();
        let behind = behind.filter(|(_, (later, _))| *later < number);
        let other = before.or(behind).map(|(other, (known, by))| {
            format!("{number} with the metadata up to {offset}, but {known} up to {other} (n{by})")
        });
        self.0.insert(offset, (number, node));
        other
    }
}
