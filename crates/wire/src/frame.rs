//! Whole frames: length, header, body.
//!
//! ```text
//!   request    length i32 │ api key i16 │ version i16 │ correlation id i32 │ client id │ tags │ body
//!   response   length i32 │ correlation id i32 │ tags │ body
//! ```

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::reader::Reader;
use crate::registry::{ApiKey, Request, Response};
use crate::text::Text;
use crate::writer::Writer;

/// A frame that is ready to be sent: its length prefix and everything behind it, as buffers for
/// a vectored write. Records are the buffers that the message held.
#[derive(Debug, Clone)]
pub struct Frame {
    parts: Vec<Bytes>,
    len: usize,
}

impl Frame {
    fn new(mut writer: Writer) -> Result<Self, EncodeError> {
        let len = writer.len();
        let (length, limit) = (len - PREFIX, i32::MAX as usize);
        if length > limit {
            return Err(EncodeError::TooLong { length, limit });
        }
        writer.set_length_prefix(length as u32);
        Ok(Self {
            parts: writer.into_parts(),
            len,
        })
    }

    /// The buffers in order; the first begins with the length prefix.
    #[must_use]
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The buffers in order.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// The number of bytes to send, length prefix included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a frame has a length prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One buffer with everything, length prefix included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        crate::Chunks::from(self.parts.clone()).into_contiguous()
    }
}

/// Bytes of the length prefix.
const PREFIX: usize = 4;

/// Room for the small values of most messages.
const USUAL_SIZE: usize = 256;

fn begin() -> Writer {
    let mut writer = Writer::with_capacity(USUAL_SIZE);
    writer.i32(0);
    writer
}

/// Makes the frame of a request. The header names its API and version.
pub fn encode_request(header: &RequestHeader, body: &Request) -> Result<Frame, EncodeError> {
    let mut writer = begin();
    let version = header.request_api_version;
    header.encode(body.api().request_header_version(version), &mut writer)?;
    body.encode(version, &mut writer)?;
    Frame::new(writer)
}

/// Makes the frame of a response to a request of `api` and `version`.
pub fn encode_response(
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    body: &Response,
) -> Result<Frame, EncodeError> {
    let mut writer = begin();
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    header.encode(api.response_header_version(version), &mut writer)?;
    body.encode(version, &mut writer)?;
    Frame::new(writer)
}

/// Reads the header of a request; `reader` then stands before the body.
///
/// An API key or version that the schema does not know is no error, because the broker's answer
/// needs what is in the header: ApiVersions in an unknown version is answered in version 0 with
/// `UNSUPPORTED_VERSION`, anything else unknown closes the connection. In these cases the client
/// id is `None` when it cannot be read.
pub fn decode_request_header(reader: &mut Reader) -> Result<RequestHeader, DecodeError> {
    let mut peek = reader.clone();
    let (key, version) = (peek.i16()?, peek.i16()?);
    let api = ApiKey::from_i16(key);
    let header_version = api.map_or(1, |api| api.request_header_version(version));
    if api.is_some_and(|api| api.versions().contains(&version)) {
        return RequestHeader::decode(header_version, reader);
    }
    let mut header = RequestHeader {
        request_api_key: key,
        request_api_version: version,
        correlation_id: peek.i32()?,
        client_id: None,
        ..RequestHeader::default()
    };
    *reader = peek.clone();
    if let Ok(client_id) = peek.opt_text(false) {
        header.client_id = client_id;
        *reader = peek;
    }
    Ok(header)
}

/// Reads the header of the response to a request of `api` and `version`; `reader` then stands
/// before the body.
pub fn decode_response_header(
    api: ApiKey,
    version: i16,
    reader: &mut Reader,
) -> Result<ResponseHeader, DecodeError> {
    ResponseHeader::decode(api.response_header_version(version), reader)
}

impl RequestHeader {
    /// A header for a request of `api` and `version`.
    #[must_use]
    pub fn new(api: ApiKey, version: i16, correlation_id: i32, client_id: Option<Text>) -> Self {
        Self {
            request_api_key: api.to_i16(),
            request_api_version: version,
            correlation_id,
            client_id,
            ..Self::default()
        }
    }

    /// The API, when it is known.
    #[must_use]
    pub fn api(&self) -> Option<ApiKey> {
        ApiKey::from_i16(self.request_api_key)
    }
}
