//! Any message of the schema, those of internal topics and of the metadata log among them: the
//! first byte chooses the message, the second its version.

use bytes::Bytes;
use ottla_wire::{MESSAGES, MetadataRecord};

/// What decodes must encode to something that decodes to the same.
pub(crate) fn body(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(record) = MetadataRecord::decode_framed(bytes.clone()) {
        let version_may_rise = record
            .encode_framed()
            .expect("what was decoded can be encoded");
        assert_eq!(
            MetadataRecord::decode_framed(version_may_rise).as_ref(),
            Ok(&record)
        );
    }
    let &[which_high, which_low, version, ..] = data else {
        return;
    };
    let which = usize::from(u16::from_be_bytes([which_high, which_low]));
    let Some(message) = MESSAGES.get(which % MESSAGES.len()) else {
        return;
    };
    let count = message.versions().count();
    let Some(version) = message.versions().nth(usize::from(version) % count) else {
        return;
    };
    let Ok(first) = message.recode(version, bytes.slice(3..)) else {
        return;
    };
    let again = message
        .recode(version, first.clone())
        .expect("what was encoded can be decoded");
    assert_eq!(again, first);
}
