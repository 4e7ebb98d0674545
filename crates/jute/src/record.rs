//! What all records have in common.

use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::reader::Reader;
use crate::writer::Writer;

/// Something that has a place in jute's encoding: a record, or the type of a field.
pub trait Record: Sized {
    /// The least number of bytes that a value takes.
    const BYTES_MIN: usize;

    /// Reads a value.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error>;

    /// Writes it.
    fn write(&self, writer: &mut Writer<'_>);

    /// Reads a value from the start of bytes; what follows is ignored, as ZooKeeper ignores it.
    /// Buffers share the memory of the bytes.
    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        Self::read(&mut Reader::shared(bytes))
    }

    /// The value as bytes.
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut Writer::new(&mut out));
        out.freeze()
    }
}

impl Record for bool {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.boolean()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.boolean(*self);
    }
}

impl Record for i32 {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.int()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.int(*self);
    }
}

impl Record for i64 {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.long()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.long(*self);
    }
}

impl Record for String {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.string().map(str::to_owned)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.string(self);
    }
}

impl Record for Option<String> {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(reader.string_or_null()?.map(str::to_owned))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.string_or_null(self.as_deref());
    }
}

impl Record for Option<Bytes> {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.buffer_or_null()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.buffer_or_null(self.as_deref());
    }
}

impl<T: Record> Record for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let length = reader.vector(T::BYTES_MIN)?;
        let mut elements = Vec::with_capacity(length);
        for _ in 0..length {
            elements.push(T::read(reader)?);
        }
        Ok(elements)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.len());
        for element in self {
            element.write(writer);
        }
    }
}

/// Declares records: structs whose encoding is that of their fields in order.
macro_rules! records {
    ($(
        $(#[$meta:meta])*
        $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::record::Record for $name {
            const BYTES_MIN: usize = 0 $(+ <$type as $crate::record::Record>::BYTES_MIN)*;

            fn read(
                reader: &mut $crate::reader::Reader<'_>,
            ) -> Result<Self, $crate::error::Error> {
                Ok($name {
                    $($field: <$type as $crate::record::Record>::read(reader)?,)*
                })
            }

            fn write(&self, writer: &mut $crate::writer::Writer<'_>) {
                $($crate::record::Record::write(&self.$field, writer);)*
            }
        }
    )+};
}

pub(crate) use records;
