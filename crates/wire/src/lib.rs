//! Kafka's frames and messages: every API key and version of Kafka 4.4, the records of its
//! internal topics, and our own metadata records.
//!
//! # Bird's-eye view
//!
//! ```text
//!   schema/**/*.schema ── build/ ──► messages::*   structs, defaults, decode, encode
//!                                └─► ApiKey, Request, Response, MetadataRecord
//!
//!   socket ► Bytes ► Reader ► decode_request_header ► Request::decode   (slices of the frame)
//!   Response ► encode_response ► Writer ► Frame::parts ► writev         (records uncopied)
//! ```
//!
//! `schema/README.md` describes the schema language. A message is decoded in the version that its
//! header names, and holds the union of all versions' fields: those that a version lacks have
//! their default.
//!
//! ```
//! use ottla_wire::messages::{ApiVersionsRequest, RequestHeader};
//! use ottla_wire::{ApiKey, Reader, Request, decode_request_header, encode_request};
//!
//! let header = RequestHeader::new(ApiKey::ApiVersions, 3, 7, Some("doctor".into()));
//! let body = ApiVersionsRequest {
//!     client_software_name: "ottla".into(),
//!     client_software_version: "1.0".into(),
//!     ..ApiVersionsRequest::default()
//! };
//! let frame = encode_request(&header, &body.clone().into()).unwrap();
//!
//! let mut reader = Reader::new(frame.to_bytes().slice(4..));
//! let header = decode_request_header(&mut reader).unwrap();
//! let api = header.api().unwrap();
//! let request = Request::decode(api, header.request_api_version, &mut reader).unwrap();
//! assert_eq!(request, Request::ApiVersions(body));
//! ```
//!
//! # Architecture invariants
//!
//! - **Architecture invariant:** no bytes make this crate panic, and no frame makes it allocate
//!   more than [`Reader::allocation_bound`]: [`Reader`] checks every length against the bytes
//!   that are left, and charges every array to a budget before it allocates it. Generated code has
//!   no other way to the bytes than `Reader`.
//! - **Architecture invariant:** records are never copied, neither in nor out; small ones excepted,
//!   whose copy is cheaper than one more buffer on its way to the socket.
//! - **Architecture invariant:** what was decoded can be encoded again in the same version, with
//!   tagged fields that we do not know as they came.
//! - **Architecture invariant:** encoding never drops a value in silence: a field that the version
//!   lacks is an error, unless Kafka's own definitions call it ignorable.
//! - **Architecture invariant:** this crate does no IO, and does not know what the broker supports:
//!   [`ApiKey::versions`] says what can be encoded, not what is advertised.

#[cfg(feature = "arbitrary")]
mod any_message;
#[cfg(feature = "arbitrary")]
mod arbitrary;
mod chunks;
mod error;
mod frame;
mod message;
// Generated: one shape fits all structs, whether or not they need every part of it.
#[allow(unused_variables, unused_imports, clippy::all)]
pub mod messages;
mod metadata_record;
pub mod otlp;
mod reader;
mod registry;
mod tags;
mod text;
mod writer;

#[cfg(feature = "arbitrary")]
pub use any_message::AnyMessage;
#[cfg(feature = "arbitrary")]
pub use arbitrary::Seed;
pub use chunks::Chunks;
pub use error::{DecodeError, EncodeError};
pub use frame::{Frame, decode_request_header, decode_response_header};
pub use frame::{encode_request, encode_response};
pub use message::{CoordinatorKey, Message, record_type};
pub use reader::Reader;
pub use registry::*;
pub use tags::UnknownTags;
pub use text::Text;
pub use writer::Writer;
