//! What the znodes of a quota hold: `count=4,bytes=10=;byteHardLimit=20;countHardLimit=8`.

use std::collections::BTreeMap;

/// Names and numbers; -1 stands for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers(BTreeMap<String, i64>);

impl Numbers {
    pub(super) const COUNT: &'static str = "count";
    pub(super) const BYTES: &'static str = "bytes";
    pub(super) const COUNT_HARD: &'static str = "countHardLimit";
    pub(super) const BYTES_HARD: &'static str = "byteHardLimit";

    /// Reads the data of such a znode; none if they are something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = BTreeMap::new();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let (name, value) = (parts.next()?, parts.next()?);
            let value = if value.is_empty() {
                -1
            } else {
                value.parse().ok()?
            };
            numbers.insert(name.to_owned(), value);
        }
        Some(Numbers(numbers))
    }

    /// Nothing is there.
    pub(super) fn zero() -> Self {
        let names = [Numbers::COUNT, Numbers::BYTES];
        Numbers(names.map(|name| (name.to_owned(), 0)).into())
    }

    /// The number, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied().filter(|value| *value > -1)
    }

    pub(super) fn set(&mut self, name: &str, value: i64) {
        self.0.insert(name.to_owned(), value);
    }

    /// The data. Clients before ZooKeeper 3.7 read no further than the odd `=` behind the bytes.
    pub(super) fn text(&self) -> String {
        let value = |name: &str| self.get(name).unwrap_or(-1);
        let mut text = format!("count={},bytes={}", value(Self::COUNT), value(Self::BYTES));
        let is_old = |name: &str| matches!(name, Self::COUNT | Self::BYTES);
        let others = self.0.iter().filter(|(name, _)| !is_old(name));
        for (index, (name, value)) in others.enumerate() {
            text.push_str(if index == 0 { "=;" } else { ";" });
            text.push_str(&format!("{name}={value}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_those_of_zookeepers_own_tools() {
        for text in [
            "count=-1,bytes=-1",
            "count=4,bytes=10",
            "count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=8",
        ] {
            assert_eq!(Numbers::parse(text).unwrap().text(), text);
        }
        let mut numbers = Numbers::parse("count=4,bytes=-1=;countHardLimit=8").unwrap();
        assert_eq!(numbers.get(Numbers::BYTES), None);
        numbers.set(Numbers::COUNT, -1);
        assert_eq!(numbers.text(), "count=-1,bytes=-1=;countHardLimit=8");
        assert_eq!(Numbers::zero().text(), "count=0,bytes=0");
        for wrong in ["count", "count=x", "hello"] {
            assert_eq!(Numbers::parse(wrong), None, "{wrong}");
        }
    }
}
