//! The header of a request, of known and unknown APIs.

use bytes::Bytes;
use ottla_wire::{ApiKey, Reader, decode_request_header};

/// The first eight bytes are always understood, unless a known version is broken further on.
pub(crate) fn body(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    match decode_request_header(&mut reader) {
        Ok(header) => {
            let numbers = [
                &header.request_api_key.to_be_bytes()[..],
                &header.request_api_version.to_be_bytes(),
                &header.correlation_id.to_be_bytes(),
            ];
            assert_eq!(numbers.concat(), data[..8]);
            assert!(reader.remaining() <= data.len() - 8);
        }
        Err(_) if data.len() < 8 => {}
        Err(error) => {
            let key = i16::from_be_bytes([data[0], data[1]]);
            let version = i16::from_be_bytes([data[2], data[3]]);
            let known = ApiKey::from_i16(key).is_some_and(|api| api.versions().contains(&version));
            assert!(
                known,
                "an unknown API or version must be tolerated: {error}"
            );
        }
    }
}
