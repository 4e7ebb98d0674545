//! Kafka's frames and messages, for every API key and version of Kafka 4.4.
#[cfg(feature = "arbitrary")]
mod arbitrary;
mod chunks;
mod error;
mod frame;
mod message;
// Generated: one shape fits all structs, whether or not they need every part of it.
#[allow(unused_variables, unused_imports, clippy::all)]
pub mod messages;
mod reader;
mod registry;
mod tags;
mod text;
mod writer;

#[cfg(feature = "arbitrary")]
pub use arbitrary::Seed;
pub use chunks::Chunks;
pub use error::{DecodeError, EncodeError};
pub use frame::decode_response_header;
pub use frame::{Frame, decode_request_header, encode_request, encode_response};
pub use message::{CoordinatorKey, Message, record_type};
pub use reader::Reader;
pub use registry::*;
pub use tags::UnknownTags;
pub use text::Text;
pub use writer::Writer;
