//! Where reading begins, and which partitions are read.

/// `--offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The first record that is there.
    Beginning,
    /// Behind the last record.
    End,
    /// This offset.
    At(i64),
    /// So many records before the end of each partition.
    BeforeEnd(i64),
}

impl Position {
    /// Reads `beginning`, `end`, an offset, or `-N` for the last N records of each partition.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write an offset such as 42, -10 for the last ten of each partition, beginning or end"
                .to_owned()
        };
        match text {
            "beginning" | "earliest" => Ok(Position::Beginning),
            "end" | "latest" => Ok(Position::End),
            _ => match text.strip_prefix('-') {
                Some(count) if count.bytes().all(|b| b.is_ascii_digit()) => {
                    count.parse().map(Position::BeforeEnd).map_err(|_| wrong())
                }
                Some(_) => Err(wrong()),
                None => text
                    .parse()
                    .ok()
                    .filter(|offset| *offset >= 0)
                    .map(Position::At)
                    .ok_or_else(wrong),
            },
        }
    }

    /// The offset in a partition that holds the offsets from `earliest` to before `latest`.
    ///
    /// An offset outside of that is moved to the nearer end: what was deleted by retention cannot
    /// be read, and what is not written yet comes later.
    pub(crate) fn offset(self, earliest: i64, latest: i64) -> i64 {
        match self {
            Position::Beginning => earliest,
            Position::End => latest,
            Position::At(offset) => offset.clamp(earliest, latest.max(earliest)),
            Position::BeforeEnd(count) => latest.saturating_sub(count).max(earliest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_people_write_them() {
        let cases = [
            ("beginning", Position::Beginning),
            ("earliest", Position::Beginning),
            ("end", Position::End),
            ("latest", Position::End),
            ("0", Position::At(0)),
            ("42", Position::At(42)),
            ("-10", Position::BeforeEnd(10)),
        ];
        for (text, position) in cases {
            assert_eq!(Position::parse(text), Ok(position), "{text}");
        }
        for wrong in ["", "-", "--3", "x", "1.5", "-x", "99999999999999999999"] {
            assert!(Position::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn offsets_stay_within_the_partition() {
        let within = |position: Position| position.offset(100, 200);
        assert_eq!(within(Position::Beginning), 100);
        assert_eq!(within(Position::End), 200);
        assert_eq!(within(Position::At(150)), 150);
        assert_eq!(within(Position::At(7)), 100);
        assert_eq!(within(Position::At(700)), 200);
        assert_eq!(within(Position::BeforeEnd(10)), 190);
        assert_eq!(within(Position::BeforeEnd(1000)), 100);
        assert_eq!(within(Position::BeforeEnd(i64::MAX)), 100);
    }
}
