//! Several operations in one request (`MultiOperationRecord`, `MultiResponse`).
//!
//! ```text
//!   | header: type, false, -1 | fields | header | fields | … | header: -1, true, -1 |
//! ```

use bytes::Bytes;

use crate::codes::{CreateMode, OpCode};
use crate::data::Stat;
use crate::error::Error;
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::request::{Check, Create, CreateTtl, Delete, GetChildren, GetData, SetData};
use crate::writer::Writer;

records! {
    /// In front of each operation and result, and at the end.
    #[derive(Copy)]
    MultiHeader {
        /// The operation, or -1 for a failed one and at the end.
        op: i32,
        /// Whether this is the end.
        done: bool,
        /// The error of a failed operation, else 0 (in results) or -1.
        err: i32,
    }
}

const END: MultiHeader = MultiHeader {
    op: -1,
    done: true,
    err: -1,
};

/// A change that is part of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp {
    /// Creates a node; the result has its path.
    Create(Create),
    /// Creates a node; the result has its stat, too.
    Create2(Create),
    /// Creates a container.
    CreateContainer(Create),
    /// Creates a node with a time to live.
    CreateTtl(CreateTtl),
    /// Deletes a node.
    Delete(Delete),
    /// Sets data.
    SetData(SetData),
    /// Fails unless a node has a version.
    Check(Check),
}

impl MultiOp {
    fn read(op: i32, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let not_here = Error::NotInMulti { op, multi: "multi" };
        let ahead = reader.clone();
        match OpCode::try_from(op)? {
            OpCode::Create => MultiOp::of_create(op, ahead, Create::read(reader)?, MultiOp::Create),
            OpCode::Create2 => {
                MultiOp::of_create(op, ahead, Create::read(reader)?, MultiOp::Create2)
            }
            OpCode::CreateContainer => {
                MultiOp::of_create(op, ahead, Create::read(reader)?, MultiOp::CreateContainer)
            }
            OpCode::CreateTtl => Ok(MultiOp::of_create_ttl(CreateTtl::read(reader)?)),
            OpCode::Delete => Delete::read(reader).map(MultiOp::Delete),
            OpCode::SetData => SetData::read(reader).map(MultiOp::SetData),
            OpCode::Check => Check::read(reader).map(MultiOp::Check),
            _ => Err(not_here),
        }
    }

    /// In a multi, flags that make a container do so whatever the operation is, and flags that
    /// mean nothing fail the whole request, as does an ACL that is null rather than empty
    /// (`Op.Create`, `CreateOptions`).
    fn of_create(
        op: i32,
        mut ahead: Reader<'_>,
        create: Create,
        other: fn(Create) -> Self,
    ) -> Result<Self, Error> {
        ahead.slice_or_null()?;
        ahead.slice_or_null()?;
        if ahead.int()? == -1 {
            return Err(Error::NullAclInMulti { op });
        }
        let flags = create.flags;
        match CreateMode::try_from(flags) {
            Ok(CreateMode::Container) => Ok(MultiOp::CreateContainer(create)),
            Ok(mode) if !mode.is_ttl() => Ok(other(create)),
            _ => Err(Error::FlagsInMulti { op, flags }),
        }
    }

    /// In a multi, `createTTL` with other flags is a plain `create`.
    fn of_create_ttl(create: CreateTtl) -> Self {
        let mode = CreateMode::try_from(create.flags).unwrap_or(CreateMode::Persistent);
        if mode.is_ttl() {
            return MultiOp::CreateTtl(create);
        }
        let plain = Create {
            path: create.path,
            data: create.data,
            acl: create.acl,
            flags: mode.code(),
        };
        if mode == CreateMode::Container {
            MultiOp::CreateContainer(plain)
        } else {
            MultiOp::Create(plain)
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            MultiOp::Create(create)
            | MultiOp::Create2(create)
            | MultiOp::CreateContainer(create) => create.write(writer),
            MultiOp::CreateTtl(create) => create.write(writer),
            MultiOp::Delete(delete) => delete.write(writer),
            MultiOp::SetData(set) => set.write(writer),
            MultiOp::Check(check) => check.write(writer),
        }
    }

    /// The operation.
    #[must_use]
    pub fn op_code(&self) -> OpCode {
        match self {
            MultiOp::Create(_) => OpCode::Create,
            MultiOp::Create2(_) => OpCode::Create2,
            MultiOp::CreateContainer(_) => OpCode::CreateContainer,
            MultiOp::CreateTtl(_) => OpCode::CreateTtl,
            MultiOp::Delete(_) => OpCode::Delete,
            MultiOp::SetData(_) => OpCode::SetData,
            MultiOp::Check(_) => OpCode::Check,
        }
    }
}

/// A read that is part of a multiRead. Its watch flag means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiRead {
    /// The children of a node.
    GetChildren(GetChildren),
    /// The data of a node.
    GetData(GetData),
}

/// Reads elements up to the end.
fn read_all<T>(
    reader: &mut Reader<'_>,
    element: impl Fn(i32, &mut Reader<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut elements = Vec::new();
    loop {
        let header = MultiHeader::read(reader)?;
        if header.done {
            return Ok(elements);
        }
        elements.push(element(header.op, reader)?);
    }
}

/// Writes elements and the end.
fn write_all<T>(
    elements: &[T],
    writer: &mut Writer<'_>,
    header: impl Fn(&T) -> MultiHeader,
    write: impl Fn(&T, &mut Writer<'_>),
) {
    for element in elements {
        header(element).write(writer);
        write(element, writer);
    }
    END.write(writer);
}

pub(crate) fn read_ops(reader: &mut Reader<'_>) -> Result<Vec<MultiOp>, Error> {
    read_all(reader, MultiOp::read)
}

pub(crate) fn write_ops(ops: &[MultiOp], writer: &mut Writer<'_>) {
    let header = |op: &MultiOp| MultiHeader {
        op: op.op_code().code(),
        done: false,
        err: -1,
    };
    write_all(ops, writer, header, MultiOp::write);
}

pub(crate) fn read_reads(reader: &mut Reader<'_>) -> Result<Vec<MultiRead>, Error> {
    read_all(reader, |op, reader| match OpCode::try_from(op)? {
        OpCode::GetChildren => GetChildren::read(reader).map(MultiRead::GetChildren),
        OpCode::GetData => GetData::read(reader).map(MultiRead::GetData),
        _ => Err(Error::NotInMulti {
            op,
            multi: "multiRead",
        }),
    })
}

pub(crate) fn write_reads(reads: &[MultiRead], writer: &mut Writer<'_>) {
    let header = |read: &MultiRead| MultiHeader {
        op: match read {
            MultiRead::GetChildren(_) => OpCode::GetChildren.code(),
            MultiRead::GetData(_) => OpCode::GetData.code(),
        },
        done: false,
        err: -1,
    };
    write_all(reads, writer, header, |read, writer| match read {
        MultiRead::GetChildren(body) => body.write(writer),
        MultiRead::GetData(body) => body.write(writer),
    });
}

/// What became of one operation of a multi or a multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult {
    /// Created.
    Create {
        /// The node's path.
        path: String,
    },
    /// Created, by any operation but `create`.
    Create2 {
        /// The node's path.
        path: String,
        /// Its stat.
        stat: Stat,
    },
    /// Deleted.
    Delete,
    /// Set.
    SetData(Stat),
    /// The version is the right one.
    Check,
    /// The names of the children.
    GetChildren(Vec<String>),
    /// The data.
    GetData {
        /// The data.
        data: Option<Bytes>,
        /// The node's stat.
        stat: Stat,
    },
    /// Failed, with an [`crate::ErrorCode`]. In a multi of which something failed, 0 stands for
    /// operations before that one and `RUNTIMEINCONSISTENCY` for those behind it.
    Error(i32),
}

impl MultiResult {
    fn op_code(&self) -> OpCode {
        match self {
            MultiResult::Create { .. } => OpCode::Create,
            MultiResult::Create2 { .. } => OpCode::Create2,
            MultiResult::Delete => OpCode::Delete,
            MultiResult::SetData(_) => OpCode::SetData,
            MultiResult::Check => OpCode::Check,
            MultiResult::GetChildren(_) => OpCode::GetChildren,
            MultiResult::GetData { .. } => OpCode::GetData,
            MultiResult::Error(_) => OpCode::Error,
        }
    }

    fn read(op: i32, reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match OpCode::try_from(op)? {
            OpCode::Create => MultiResult::Create {
                path: Record::read(reader)?,
            },
            OpCode::Create2 => MultiResult::Create2 {
                path: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::Delete => MultiResult::Delete,
            OpCode::SetData => MultiResult::SetData(Record::read(reader)?),
            OpCode::Check => MultiResult::Check,
            OpCode::GetChildren => MultiResult::GetChildren(Record::read(reader)?),
            OpCode::GetData => MultiResult::GetData {
                data: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::Error => MultiResult::Error(reader.int()?),
            _ => {
                return Err(Error::NotInMulti {
                    op,
                    multi: "response to a multi",
                });
            }
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            MultiResult::Create { path } => path.write(writer),
            MultiResult::Create2 { path, stat } => {
                path.write(writer);
                stat.write(writer);
            }
            MultiResult::Delete | MultiResult::Check => {}
            MultiResult::SetData(stat) => stat.write(writer),
            MultiResult::GetChildren(children) => children.write(writer),
            MultiResult::GetData { data, stat } => {
                data.write(writer);
                stat.write(writer);
            }
            MultiResult::Error(err) => writer.int(*err),
        }
    }
}

pub(crate) fn read_results(reader: &mut Reader<'_>) -> Result<Vec<MultiResult>, Error> {
    read_all(reader, MultiResult::read)
}

pub(crate) fn write_results(results: &[MultiResult], writer: &mut Writer<'_>) {
    let header = |result: &MultiResult| MultiHeader {
        op: result.op_code().code(),
        done: false,
        err: match result {
            MultiResult::Error(err) => *err,
            _ => 0,
        },
    };
    write_all(results, writer, header, MultiResult::write);
}
