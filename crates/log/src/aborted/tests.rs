use super::*;
use ottla_runtime::disk::SimDisk;
use proptest::prelude::*;

const PATH: &str = "/i.txnindex";

/// Transactions of two offsets each, one after the other, from `base` on.
fn entry(n: i64) -> AbortedEntry {
    AbortedEntry {
        producer_id: n,
        first_offset: n * 2,
        last_offset: n * 2 + 1,
        last_stable_offset: n * 2 + 2,
    }
}

fn path() -> &'static Path {
    Path::new(PATH)
}

fn range(from: Offset, to: Offset) -> Range {
    Range { from, to }
}

fn search_all(
    index: &AbortedIndex,
    disk: &SimDisk,
    range: Range,
) -> (Search, Vec<AbortedTransaction>) {
    let mut found = Vec::new();
    let search = match index.search(range, &mut found) {
        Search::NeedsDisk => {
            let open = || disk.open(path(), OpenMode::Read);
            index.search_file(open, range, &mut found).unwrap()
        }
        done => done,
    };
    (search, found)
}

#[test]
fn the_layout_is_kafkas() {
    let bytes = encode([entry(3)].iter());
    assert_eq!(bytes.len(), 34);
    assert_eq!(bytes[..2], [0, 0]);
    assert_eq!(bytes[2..10], 3i64.to_be_bytes());
    assert_eq!(bytes[10..18], 6i64.to_be_bytes());
    assert_eq!(bytes[18..26], 7i64.to_be_bytes());
    assert_eq!(bytes[26..34], 8i64.to_be_bytes());
}

#[test]
fn memory_holds_the_newest_entries_and_the_file_all() {
    let disk = SimDisk::new(1);
    let index = AbortedIndex::default();
    let total = NEWEST_MAX as i64 * 3;
    for n in 0..total {
        index.push(entry(n));
        if index.must_spill() {
            index.write(&disk, path(), false).unwrap();
        }
    }
    assert!(index.unwritten() <= NEWEST_MAX + 1);
    index.write(&disk, path(), true).unwrap();
    assert_eq!(index.unwritten(), 0);
    let promise = index.promise().unwrap();
    assert_eq!(promise.entries, total as u64);
    let bytes = (&disk as &dyn Disk).read(path()).unwrap();
    let all: Vec<_> = (0..total).map(entry).collect();
    assert_eq!(believed(&bytes, 0, Some(promise)), Some(all));
    let newest = index.search(range(total * 2 - 8, total * 2), &mut Vec::new());
    assert_eq!(newest, Search::Complete, "from memory");
    let oldest = index.search(range(0, 9), &mut Vec::new());
    assert_eq!(oldest, Search::NeedsDisk);
    for from in (0..total * 2).step_by(37) {
        let (search, found) = search_all(&index, &disk, range(from, from + 5));
        let first = from / 2;
        let last = ((from + 4) / 2).min(total - 1);
        let expected: Vec<i64> = (first..=last).collect();
        let ids: Vec<i64> = found.iter().map(|a| a.producer_id).collect();
        assert_eq!(ids, expected, "from {from}");
        let is_complete = from + 5 <= total * 2;
        assert_eq!(search == Search::Complete, is_complete, "from {from}");
    }
}

#[test]
fn a_search_ends_where_no_later_entry_can_belong_to_it() {
    let index = AbortedIndex::default();
    let mut long = entry(9);
    long.first_offset = 0;
    long.last_stable_offset = 4;
    index.push(long);
    index.push(AbortedEntry {
        producer_id: 10,
        first_offset: 4,
        last_offset: 30,
        last_stable_offset: 31,
    });
    let mut found = Vec::new();
    assert_eq!(index.search(range(1, 4), &mut found), Search::Complete);
    assert_eq!(found.len(), 1);
    found.clear();
    assert_eq!(index.search(range(20, 40), &mut found), Search::GoOn);
    assert_eq!(found[0].producer_id, 10);
}

#[test]
fn a_file_that_does_not_hold_what_was_promised_is_not_believed() {
    let bytes = encode([entry(0), entry(1)].iter());
    let promise = Some(Promise {
        entries: 2,
        crc: crc_of(&bytes),
    });
    let longer = [&bytes[..], &encode([entry(2)].iter())].concat();
    assert_eq!(believed(&longer, 0, promise).unwrap().len(), 2);
    assert_eq!(believed(&longer, 0, None).unwrap().len(), 3);
    assert_eq!(believed(&bytes[..34], 0, promise), None);
    assert_eq!(believed(&[], 0, promise), None);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert_eq!(believed(&damaged, 0, promise), None);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_decode_to_increasing_entries(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        base in 0..10i64,
    ) {
        let entries = decode(&bytes, base);
        prop_assert!(entries.windows(2).all(|w| w[0].last_offset < w[1].last_offset));
        drop(parse_promises(&bytes));
    }

    #[test]
    fn promises_are_read_as_they_were_written(
        promises in proptest::collection::btree_map(0..1000i64, (any::<u64>(), any::<u32>()), 0..9),
    ) {
        let promise = |(base, (entries, crc))| (base, Promise { entries, crc });
        let promises: Promises = promises.into_iter().map(promise).collect();
        prop_assert_eq!(parse_promises(format_promises(&promises).as_bytes()), Ok(promises));
    }
}
